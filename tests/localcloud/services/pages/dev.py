"""`/_dev`: links to begin with, and recent activity as one trace per request, with Replay and Run now."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from html import escape
from itertools import islice
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from aiohttp import web

from localcloud.host.logline import LogLine
from localcloud.services.pages import session_lane
from localcloud.services.traces import CHANGES, Trace, Traces

PATH: Final = "/_dev"
_SCRIPT: Final = Path(__file__).with_name("live.js")
_SHOWN: Final = 60
_SESSIONS: Final = 10
_KINDS: Final = {
    CHANGES: "Changes",
    "request": "Requests",
    "bus": "Events",
    "stripe": "Stripe",
    "mail": "Mails",
    "schedule": "Schedules",
    "dead": "Dead letters",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_STYLE: Final = (
    ":root{color-scheme:light dark;background:Canvas;font:15px/1.5 system-ui,sans-serif}"
    "body{max-width:75rem;margin:1.5rem auto;padding:0 1rem;overflow-wrap:anywhere}form{display:inline}"
    "nav,.start,.row{display:flex;flex-wrap:wrap;gap:.5rem 1rem}.row{gap:.5rem}"
    "pre{overflow-x:auto;margin:.4rem 0;font-size:.85rem;overflow-wrap:normal}"
    "details{border:1px solid #8886;border-radius:.5rem;padding:.4rem .7rem;margin:.35rem 0}"
    "summary{cursor:pointer}summary small{opacity:.75}button{font:inherit;padding:.35rem .8rem;"
    "border:1px solid #888;border-radius:.5rem;background:none;color:inherit;cursor:pointer}"
    "button:hover,.start a:hover{background:#8882}:focus-visible{outline:3px solid #3b82f6;outline-offset:2px}"
    ".start a{display:inline-block;padding:.5rem 1rem;border:1px solid #8886;border-radius:.5rem;text-decoration:none}"
    "[aria-current]{font-weight:700}" + session_lane.STYLE
)

type Run = Callable[[str], Awaitable[bool]]


class DevPage:
    """Serves the page and performs the actions of its buttons.

    Attributes:
        schedules: their names.
        run: fires one of them now; false when there is none of that name.
        replay: invokes a function again with the payload of an invocation; false when it is no longer kept.
    """

    def __init__(self, traces: Traces, origin: str, schedules: Iterable[str], run: Run, replay: Run) -> None:
        self._traces = traces
        self._origin = origin
        self._schedules = sorted(schedules)
        self._run = run
        self._replay = replay

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request for the page or one of its buttons."""
        if request.method == "POST":
            return await self._press(request)
        if request.path == f"{PATH}/{_SCRIPT.name}":
            return _with_headers(_SCRIPT.read_text(encoding="utf-8"), "text/javascript")
        if request.path != PATH:
            return web.Response(status=404, text="no such page")
        if "application/json" in request.headers.get("Accept", ""):
            return web.json_response({"traces": [_document(each) for each in self._shown(None)]})
        if session := request.query.get("session"):
            return _answer(self._story(session))
        return _answer(self._page(request.query.get("kind")))

    async def _press(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("Origin") != self._origin:  # another site must not be able to press our buttons
            return web.Response(status=403, text="not from this page")
        verb, _, subject = request.path.removeprefix(f"{PATH}/").partition("/")
        press = {"run": self._run, "replay": self._replay}.get(verb)
        if press is None or not await press(unquote(subject)):
            return web.Response(status=404, text="no such schedule or invocation")
        await asyncio.sleep(0.3)  # most have ended by then, and are on the page
        return web.Response(status=303, headers={"Location": PATH})

    def _shown(self, kind: str | None) -> Iterator[Trace]:
        """The newest traces, without the console's files: files and reads would soon push everything else out."""
        found = self._traces.newest(kind)
        return islice((each for each in found if not each.asked.startswith("GET /console/")), _SHOWN)

    def _page(self, kind: str | None) -> str:
        kinds = [("", "All"), *_KINDS.items()]
        links = "".join(
            f'<a href="{PATH}{f"?kind={name}" if name else ""}"{" aria-current=page" if (kind or "") == name else ""}>'
            f"{label}</a>"
            for name, label in kinds
        )
        runs = "".join(_button(f"run/{quote(name)}", f"Run {_short(name)}") for name in self._schedules)
        traces = "".join(_trace(each) for each in self._shown(kind))
        return (
            '<p class="start"><a href="/">Open the console</a> <a href="/_dev/mail">Mails</a> '
            '<a href="/_dev/rooms">Rooms</a> <a href="/_dev/meetings">Meetings</a> <a href="/_stripe">Stripe</a> '
            '<a href="/api/docs">The API</a> <a href="/_dev/components">Components</a></p>'
            "<p>Sign in as a customer in one tab, as a mechanic in another and as an admin in a third; "
            "no password is asked.</p>"
            f"{self._sessions()}<h2>Schedules</h2><p>Each runs by itself when it is due. To have one run now:</p>"
            f'<div class="row">{runs}</div>'
            f"<h2>Recent activity</h2><nav aria-label='Kinds'>{links}</nav>"
            f"{traces or self._nothing(kind)}"
        )

    def _sessions(self) -> str:
        """The sessions in which something happened last, with the way to the story of each."""
        ids = dict.fromkeys(session for trace in self._traces.newest() for session in sorted(trace.sessions()))
        links = "".join(f"<li>{_link(each)}</li>" for each in islice(ids, _SESSIONS))
        return f"<h2>Sessions</h2><p>The story of each, in one lane.</p><ul>{links}</ul>" if links else ""

    def _story(self, session: str) -> str:
        told = session_lane.steps((each for each in self._traces.newest() if each.is_about(session)), session)
        lane = session_lane.lane(told) if told else "<p>Nothing is known of it any more.</p>"
        return f"<nav aria-label='Ways'><a href='{PATH}'>All activity</a></nav><h2>Session {escape(session)}</h2>{lane}"

    def _nothing(self, kind: str | None) -> str:
        dropped = self._traces.forgotten
        if kind in dropped or (kind in (None, CHANGES) and "request" in dropped):
            return "<p>Older entries have been dropped.</p>"
        return "<p>Nothing yet.</p>"


def _trace(trace: Trace) -> str:
    first, last = trace.lines[0], trace.lines[-1]
    took = (last.at - first.at).total_seconds()
    about = f"{len(trace.lines)} lines, {took:.1f} s" if len(trace.lines) > 1 else ""
    lines = "\n".join(escape(str(line)) for line in trace.lines)
    replays = " ".join(
        _button(f"replay/{quote(each.request_id)}", f"Replay {each.function}") for each in trace.invocations
    )
    stories = "".join(f"<p>{_link(each)}</p>" for each in sorted(trace.sessions()))
    return (
        f'<details id="trace-{escape(trace.id)}">'
        f"<summary>{escape(_headline(trace.lines))} <small>{about}</small></summary>"
        f'<pre tabindex="0">{lines}</pre>{stories}<div class="row">{replays}</div></details>'
    )


def _link(session: str) -> str:
    return f'<a href="{PATH}?session={quote(session)}">Session {escape(session)}</a>'


def _short(schedule: str) -> str:
    """Its name without that of the application and the stage."""
    return schedule.split("-", 2)[-1].replace("-", " ")


def _headline(lines: list[LogLine]) -> str:
    """The line that names the cause: a request or a firing rather than its consequences."""
    leading = next((line for line in lines if line.kind in ("request", "schedule")), lines[0])
    return str(leading)


def _button(path: str, label: str) -> str:
    return f'<form method="post" action="{PATH}/{path}"><button>{escape(label)}</button></form>'


def _document(trace: Trace) -> dict[str, object]:
    return {
        "id": trace.id,
        "lines": [{"kind": line.kind, "text": line.text, "status": line.status} for line in trace.lines],
        "invocations": [{"requestId": each.request_id, "function": each.function} for each in trace.invocations],
    }


def _answer(body: str) -> web.Response:
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>AutoDoctor here</title><style>{_STYLE}</style>"
        f'<script type="module" src="{PATH}/{_SCRIPT.name}"></script>'
        f"<main><h1>AutoDoctor on this machine</h1>{body}</main></html>"
    )
    return _with_headers(text, "text/html")


def _with_headers(text: str, content_type: str) -> web.Response:
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": _POLICY, "Referrer-Policy": "same-origin"}
    return web.Response(text=text, content_type=content_type, headers=headers)
