"""`/_dev/meetings`: the meetings, who is in them, ways to cut and to end one, and the faults of their events."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from html import escape
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from localcloud.media.chime import Chime
from localcloud.media.faults import MOST_COPIES, MOST_SECONDS, WAYS, Order, Way, WayFaults
from localcloud.media.meetings import Attendee, Meeting
from localcloud.services.pages.mail import answer, document

PATH: Final = "/_dev/meetings"
JSON_PATH: Final = "/_dev/meetings.json"
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class MeetingsPage:
    """Serves the page, its JSON, and its buttons: `cut/ATTENDEE`, `end/MEETING`, `faults/bus` and `faults/queue`."""

    def __init__(self, chime: Chime, origin: str) -> None:
        self._chime = chime
        self._origin = origin

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request below `PATH`."""
        if request.method == "POST":
            return await self._press(request)
        meetings = self._chime.meetings.all()
        if request.path == JSON_PATH:
            faults = {way: asdict(self._chime.faults.of(way)) for way in WAYS}
            return web.json_response({"meetings": [_facts(each) for each in meetings], "faults": faults})
        if request.path != PATH:
            return web.Response(status=404, text="no such page")
        return answer(self._page(meetings), "text/html", _POLICY)

    async def _press(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("Origin") != self._origin:  # another site must not be able to press our buttons
            return web.Response(status=403, text="not from this page")
        verb, _, subject = request.path.removeprefix(f"{PATH}/").partition("/")
        try:
            done = self._do(verb, subject, dict(parse_qsl((await request.read()).decode())))
        except (ValueError, KeyError) as error:
            return web.Response(status=400, text=str(error))
        if not done:
            return web.Response(status=404, text="no such meeting, attendee or way")
        return web.Response(status=303, headers={"Location": PATH})

    def _do(self, verb: str, subject: str, fields: Mapping[str, str]) -> bool:
        if verb == "cut":
            return self._chime.server.cut(subject)
        if verb == "end" and (meeting := self._chime.meetings.find(subject)):
            self._chime.server.end(meeting)
            self._chime.meetings.end(meeting, time.time())
            return True
        way: Way | None = next((each for each in WAYS if each == subject), None)
        if verb != "faults" or way is None:
            return False
        order: Order = "mixed" if fields.get("order") == "mixed" else "kept"
        asked = WayFaults(float(fields["lost"]), int(fields["copies"]), float(fields["delay"]), order)
        self._chime.faults.change(way, asked)
        return True

    def _page(self, meetings: list[Meeting]) -> str:
        listed = "".join(self._meeting(each) for each in meetings) or "<p>None yet.</p>"
        forms = "".join(self._faults(way) for way in WAYS)
        return document("Meetings", f"<h1>Meetings</h1>{listed}<h2>What happens to their events</h2>{forms}")

    def _meeting(self, meeting: Meeting) -> str:
        state = f"ended {_clock(meeting.ended_at)}" if meeting.ended_at else _button(f"end/{meeting.meeting_id}", "End")
        rows = "".join(self._attendee(each) for each in meeting.attendees.values())
        return (
            f"<h3>{meeting.meeting_id}</h3><p>of {escape(meeting.external_id)}, since {_clock(meeting.created_at)}; "
            f"{state}</p><table><tr><th>attendee</th><th>who</th><th>there</th><th>frames</th><th>when</th><th></th>"
            f"</tr>{rows}</table>"
        )

    def _attendee(self, attendee: Attendee) -> str:
        there = ("with a picture" if attendee.video else "yes") if attendee.joined else "no"
        when = ", ".join(" to ".join(_clock(each) for each in stretch) for stretch in attendee.stretches)
        cut = _button(f"cut/{attendee.attendee_id}", "Cut") if self._chime.server.is_connected(attendee) else ""
        return (
            f"<tr><td>{attendee.attendee_id}</td><td>{escape(attendee.external_id)}</td><td>{there}</td>"
            f"<td>{attendee.packets}</td><td>{when}</td><td>{cut}</td></tr>"
        )

    def _faults(self, way: Way) -> str:
        faults = self._chime.faults.of(way)
        mixed = " checked" if faults.order == "mixed" else ""
        return (
            f'<form method="post" action="{PATH}/faults/{way}"><h3>By the {way}</h3>'
            f'<label>lost, 0 to 1 <input name="lost" value="{faults.lost:g}"></label> '
            f'<label>copies, to {MOST_COPIES} <input name="copies" value="{faults.copies}"></label> '
            f'<label>late, to {MOST_SECONDS:.0f} s <input name="delay" value="{faults.delay_seconds:g}"></label> '
            f'<label><input type="checkbox" name="order" value="mixed"{mixed}> out of order</label> '
            "<button>Set</button></form>"
        )


def _facts(meeting: Meeting) -> Mapping[str, object]:
    return {
        "meetingId": meeting.meeting_id,
        "externalMeetingId": meeting.external_id,
        "createdAt": meeting.created_at,
        "endedAt": meeting.ended_at,
        "attendees": [
            {
                "attendeeId": each.attendee_id,
                "externalUserId": each.external_id,
                "joined": each.joined,
                "video": each.video,
                "frames": each.packets,
                "stretches": each.stretches,
            }
            for each in meeting.attendees.values()
        ],
    }


def _button(path: str, label: str) -> str:
    return f'<form method="post" action="{PATH}/{path}"><button>{escape(label)}</button></form>'


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"
