"""`/_dev/rooms`: what the parties of each session say to each other, who is there, and how far each has read."""

import asyncio
from html import escape
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
from aiohttp import web
from psycopg.rows import dict_row

from autodoctor.printable import printable
from localcloud.services.pages.mail import answer, document

PATH: Final = "/_dev/rooms"
_SHOWN: Final = 100
_MOST: Final = 1000

_ROOMS: Final[LiteralString] = """
SELECT r.session_id, s.status, r.latest, r.customer_written, r.mechanic_written, r.customer_read, r.mechanic_read,
       s.customer_present AND s.ended_at IS NULL AS customer_here,
       s.mechanic_present AND s.ended_at IS NULL AS mechanic_here,
       (SELECT count(*) FROM realtime_connections c WHERE c.room = r.session_id AND c.expires_at > now()) AS connections
  FROM rooms r JOIN sessions s ON s.id = r.session_id
 WHERE %(session)s::uuid IS NULL OR r.session_id = %(session)s::uuid
 ORDER BY r.session_id DESC LIMIT %(most)s
"""
_MESSAGES: Final[LiteralString] = """
SELECT seq, role, kind, text, at FROM session_messages WHERE session_id = %(session)s ORDER BY seq DESC LIMIT %(most)s
"""


class RoomPage:
    """Serves the list and each room.

    Args:
        database_url: of the functions' role.
    """

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request below `PATH`."""
        wanted = request.path.removeprefix(PATH).strip("/")
        try:
            session = UUID(wanted) if wanted else None
        except ValueError:
            return web.Response(status=404, text="no such room")
        rooms = await asyncio.to_thread(self._rows, _ROOMS, session, _SHOWN)
        if session is None:
            return answer(_list(rooms), "text/html")
        if not rooms:
            return web.Response(status=404, text="no such room")
        return answer(_one(rooms[0], await asyncio.to_thread(self._rows, _MESSAGES, session, _MOST)), "text/html")

    def _rows(self, query: LiteralString, session: UUID | None, most: int) -> list[dict[str, Any]]:
        with psycopg.connect(self._database_url, autocommit=True, row_factory=dict_row) as connection:
            return connection.execute(query, {"session": session, "most": most}).fetchall()


def _list(rooms: list[dict[str, Any]]) -> str:
    lines = "".join(
        f'<tr><td><a href="{PATH}/{room["session_id"]}">{room["session_id"]}</a></td><td>{escape(room["status"])}</td>'
        f"<td>{room['latest']}</td><td>{_here(room)}</td></tr>"
        for room in rooms
    )
    table = f"<table><tr><th>session</th><th>status</th><th>messages</th><th>here</th></tr>{lines}</table>"
    how = "<p><code>autodoctor room SESSION --as customer1</code> enters one from a terminal.</p>"
    return document("Rooms", f"<h1>Rooms</h1>{how}{table}")


def _one(room: dict[str, Any], messages: list[dict[str, Any]]) -> str:
    lines = "".join(
        f"<tr><td>{each['seq']}</td><td>{each['at']:%H:%M:%S}</td><td>{escape(each['role'])}</td>"
        f"<td>{_text(each)}</td></tr>"
        for each in reversed(messages)
    )
    facts = (
        f"<p>{escape(room['status'])}; here: {_here(room)}, {room['connections']} connections. The customer wrote "
        f"{room['customer_written']} and read up to {room['customer_read']}, "
        f"the mechanic {room['mechanic_written']} and {room['mechanic_read']}.</p>"
    )
    table = f"<table><tr><th>seq</th><th>at (UTC)</th><th>by</th><th>text</th></tr>{lines}</table>"
    title = f"Room of {room['session_id']}"
    return document(title, f'<p><a href="{PATH}">all rooms</a></p><h1>{title}</h1>{facts}{table}')


def _text(message: dict[str, Any]) -> str:
    text = escape(printable(message["text"] or ""))
    return f"[file] {text}" if message["kind"] == "file" else text


def _here(room: dict[str, Any]) -> str:
    there = [role for role in ("customer", "mechanic") if room[f"{role}_here"]]
    return " and ".join(there) or "nobody"
