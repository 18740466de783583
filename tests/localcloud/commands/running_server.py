"""The running `autodoctor dev`, as the operators' commands see it."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from autodoctor.operations.local_server import LocalServer
from localcloud.host.datadir import DEFAULT, DataDir

if TYPE_CHECKING:
    from autodoctor.operations.dead_letters import Account
    from autodoctor.operations.smoke import Deployment

_ANSWER_SECONDS: Final = 10.0


def find(data_dir: Path | None) -> LocalServer:
    """Find the server that runs on a data folder, by default `.autodoctor`. Raises NoServer and FolderUnusable."""
    server = DataDir(data_dir or DEFAULT).server()
    return LocalServer(
        owner_url=server.owner_url,
        app_url=server.app_url,
        stripe_environment=partial(_stripe_environment, server.api_url),
        account=partial(_account, server.api_url),
        deployment=partial(_deployment, server.api_url, server.realtime_url),
    )


def _stripe_environment(api_url: str) -> Mapping[str, str]:
    import httpx  # noqa: PLC0415 - as cli.py says

    from localcloud.stripe.http.service import PREFIX as SERVICE  # noqa: PLC0415
    from localcloud.stripe.pages.control_api import PREFIX  # noqa: PLC0415

    url = f"{api_url}{SERVICE}{PREFIX}environment"
    with httpx.Client(trust_env=False, timeout=_ANSWER_SECONDS) as server:
        variables: dict[str, str] = server.post(url).raise_for_status().json()
    return variables


def _deployment(api_url: str, realtime_url: str) -> "Deployment":
    from localcloud.messaging.redrive import local_deployment  # noqa: PLC0415 - as cli.py says

    return local_deployment(api_url, realtime_url)


def _account(api_url: str) -> "Account":
    from localcloud.messaging.redrive import local_account  # noqa: PLC0415 - as cli.py says

    return local_account(api_url)
