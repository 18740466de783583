"""The actions of the WebSocket that are about a room: `room`, which enters it, and `typing`.

They are answered by a message on the same connection; who may not, or cannot, gets `refused` with the reason.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, Literal, LiteralString
from uuid import UUID

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import ValidationError

from autodoctor.db import Database
from autodoctor.errors import SessionNotFound
from autodoctor.events.feed import connections
from autodoctor.events.feed.push import push
from autodoctor.events.publish import Publisher
from autodoctor.observability import logger
from autodoctor.room.frames import TypingPushed, entered, frame, refusal
from autodoctor.room.messages import Seq
from autodoctor.room.tell import tell, tell_presence
from autodoctor.settings import required
from autodoctor.web.bodies import read
from autodoctor.web.problems import problem_of
from autodoctor.web.schemas import RequestBody

MOST_REPLAYED: Final = 1000
"""Messages in one answer; who missed more asks again."""
RECENT: Final = 50
"""Messages that a client gets that has none yet."""

_BIND: Final[LiteralString] = "SELECT * FROM bind_room(%(connection_id)s, %(session_id)s, %(after)s, %(most)s)"
_TYPING: Final[LiteralString] = "SELECT * FROM tell_typing(%(connection_id)s, %(session_id)s)"

type SocketAnswer = dict[str, int]


class EnterRoom(RequestBody):
    """Enters the room of a session: from now on the connection hears what is said there, and its user is there.

    Attributes:
        after: the `seq` of the last message that the client has; absent: it has none, and gets the last ones.
    """

    action: Literal["room"]
    session_id: UUID
    after: Seq | None = None


class Typing(RequestBody):
    """The user is typing in the room that this connection has entered; nobody answers."""

    action: Literal["typing"]
    session_id: UUID


class RoomSockets:
    """The Lambda handler of the actions `room` and `typing`.

    Raises:
        SettingMissing: the deployment names no bus or no WebSocket API.
    """

    def __init__(self, database: Database) -> None:
        required("WEBSOCKET_ENDPOINT")
        self._database = database
        self._publisher = Publisher(database)
        self._actions: Mapping[str, Callable[[str, str], None]] = {"room": self._enter, "typing": self._type}

    def handler(self) -> Callable[[Mapping[str, Any], LambdaContext], SocketAnswer]:
        """The handler: API Gateway gets 200 where the client got its answer, whatever that is."""

        def handle(event: Mapping[str, Any], _context: LambdaContext) -> SocketAnswer:
            request = event["requestContext"]
            logger.set_correlation_id(request["requestId"])
            status = self._handle(request["routeKey"], request["connectionId"], event.get("body") or "")
            logger.info("room", extra={"route": request["routeKey"], "status": status})
            return {"statusCode": status}

        return logger.inject_lambda_context(clear_state=True)(handle)

    def _handle(self, action: str, connection_id: str, body: str) -> int:
        try:
            self._actions[action](connection_id, body)
        except Exception as failure:  # noqa: BLE001 (as for a route: the client learns the reason, if it may)
            problem = problem_of(failure)
            if problem is None:
                return HTTPStatus.INTERNAL_SERVER_ERROR
            tell(self._database, [connection_id], refusal(action, _session_named(body), problem))
            return problem.status
        return HTTPStatus.OK

    def _enter(self, connection_id: str, body: str) -> None:
        wanted = read(EnterRoom, body.encode(errors="surrogatepass"))
        most = RECENT if wanted.after is None else MOST_REPLAYED
        parameters = {"connection_id": connection_id, "most": most, **wanted.model_dump(exclude={"action"})}
        row = self._database.one(_BIND, parameters)
        if row is None:
            raise SessionNotFound
        self._send(connection_id, [*entered(wanted.session_id, row)])
        if row["came"]:
            self._publisher.publish(wanted.session_id, tell_presence(self._database, wanted.session_id))

    def _type(self, connection_id: str, body: str) -> None:
        session_id = read(Typing, body.encode(errors="surrogatepass")).session_id
        row = self._database.one(_TYPING, {"connection_id": connection_id, "session_id": session_id})
        if row is not None:
            tell(self._database, row["connections"], frame(TypingPushed(session_id=session_id, role=row["role"])))

    def _send(self, connection_id: str, frames: list[bytes]) -> None:
        pushed = push({connection_id: frames})
        connections.drop(self._database, pushed.gone)


class _Named(RequestBody):
    session_id: UUID


def _session_named(body: str) -> UUID | None:
    """The session that a refused action was about, if it named one."""
    try:
        return _Named.model_validate_json(body).session_id
    except ValidationError:
        return None
