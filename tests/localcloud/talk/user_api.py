"""The API and the WebSocket of a running server, as one user sees them."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from autodoctor.operations.console import Refusal
from autodoctor.printable import printable
from localcloud.commands import access
from localcloud.host.datadir import DataDir
from localcloud.identity.roster import Group

PING_SECONDS = 45.0
"""How often a client says something: in a room, who is silent for 90 s is not there any more."""
_TOKEN_SECONDS = 300.0
_TIMEOUT_SECONDS = 30.0


class CallRefused(Refusal):
    """The server does not do this for this user, and will not if it is asked again.

    Attributes:
        status: HTTP status.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"the server refused with {status}: {printable(detail)}")
        self.status = status


@dataclass(frozen=True)
class UserApi:
    """A user of the server that runs on a data folder.

    Attributes:
        sub: the user's id.
        group: the user's group.
    """

    data_dir: DataDir
    sub: str
    group: Group

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Make one call of the API.

        Raises:
            CallRefused: it will not help to ask again.
            NoServer: none runs.
            httpx.HTTPError: it does not answer, or is busy.
        """
        server = self.data_dir.server()
        token = access.token(self.data_dir, self.sub, self.group, _TOKEN_SECONDS)
        response = httpx.request(
            method,
            server.api_url + path,
            headers={"Authorization": f"Bearer {token}"},
            json=body,
            timeout=_TIMEOUT_SECONDS,
            trust_env=False,
        )
        again = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
        busy = "session-busy" in response.text or response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
        if response.is_error and not busy and response.status_code not in again:
            raise CallRefused(response.status_code, _detail(response))
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer

    def socket(self, **query: object) -> AbstractContextManager[ClientConnection]:
        """Open a WebSocket with a new ticket; parameters that are None are left out. Raises as `call`."""
        ticket = self.call("POST", "/api/realtime/ticket")
        wanted = {"ticket": ticket["ticket"], **query}
        given = {name: value for name, value in wanted.items() if value is not None}
        return connect(
            f"{ticket['url']}?{urlencode(given)}", proxy=None, compression=None, open_timeout=_TIMEOUT_SECONDS
        )


def reason(lost: Exception) -> str:
    """Why a connection was lost, in a few words."""
    if isinstance(lost, ConnectionClosed):
        close = lost.rcvd
        return f"closed with {close.code} {close.reason}".rstrip() if close else "cut off"
    return str(lost) or type(lost).__name__


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json().get("detail") or response.text)
    except ValueError:
        return response.text
