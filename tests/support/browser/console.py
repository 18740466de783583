"""The console for a test: an account whose mails and payments lead to it, and signing in."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page

from localcloud.database.postgres import PostgresServer
from localcloud.host.ports import LOOPBACK, scattered_port
from localcloud.identity.roster import seed
from support.account import Account, running_account


@contextmanager
def running_console(
    server: PostgresServer, template: str, name: str, data_dir: Path, origins: str = ""
) -> Iterator[Account]:
    """The functions of template.yaml on a database `name` with the roster's people; a second together is billable.

    `origins` may call its API from a browser, beside its own.
    """
    port = scattered_port()
    base = f"http://{LOOPBACK}:{port}/console"
    with server.temporary_database(name, template) as database:
        seed(database.owner_url)
        with running_account(database, data_dir, port=port, SessionBaseUrl=base, AllowedOrigins=origins) as account:
            account.sql("INSERT INTO settings (key, value) VALUES ('min_billable_seconds', '1')")
            yield account


def signed_in(account: Account, page: Page, name: str) -> Page:
    """Open the console as somebody of the roster, or as somebody new."""
    page.goto(f"{account.cloud.api_url}/")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name=name).click()
    page.wait_for_url(re.compile(r"/console/(customer|mechanic|admin)\.html"))
    return page


def hide(page: Page, *, hidden: bool) -> None:
    """Have the reader look at another tab, or come back; headless windows are never hidden by themselves."""
    page.evaluate(
        "hidden => { Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        hidden,
    )
