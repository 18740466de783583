"""The mails that a test's events lead to, and a mechanic who gets some."""

from collections.abc import Iterator

import pytest

from localcloud.database.postgres import Database
from support.events.mail_env import MailEnv, open_mail_env
from support.world import Mechanic


@pytest.fixture
def mail_env(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailEnv]:
    with open_mail_env(database, monkeypatch) as mail_env:
        yield mail_env


@pytest.fixture
def mechanic(mail_env: MailEnv) -> Mechanic:
    """One with an address."""
    mechanic = mail_env.mechanic()
    mail_env.address(mechanic)
    return mechanic
