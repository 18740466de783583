"""A session's story in one lane: requests, events and their consumers, pushes, mails and Stripe, in the order of time.

What only reads is folded away between what changes something, and what a function does inside a step is left out.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from html import escape
from itertools import groupby
from typing import Final

from localcloud.host.logline import LogLine
from localcloud.host.screen import is_failure
from localcloud.services.traces import Trace

STYLE: Final = (
    ".lane{list-style:none;padding:0;border-inline-start:3px solid #8886;margin:1rem 0 1rem .4rem}"
    ".lane li{display:grid;grid-template-columns:max-content 7rem minmax(0,1fr) max-content;gap:.1rem .8rem;"
    "padding:.3rem .8rem;overflow-wrap:anywhere}.lane time,.lane small{font-variant-numeric:tabular-nums}"
    ".lane b::before{content:'';display:inline-block;width:.65rem;height:.65rem;border-radius:50%;"
    "margin-inline-end:.5rem;background:var(--kind,#888)}"
    "[data-kind=request]{--kind:#2f6fdb}[data-kind=bus]{--kind:#7d4fc0}[data-kind=stripe]{--kind:#c2410c}"
    "[data-kind=mail]{--kind:#17803f}[data-kind=push],[data-kind=socket]{--kind:#0a7a86}"
    "[data-kind=dead],[data-failed]{--kind:#c62828}.lane details{margin:0;border-style:dashed}"
    ".lane .reads{display:block}@media(width<40rem){.lane li{grid-template-columns:max-content minmax(0,1fr)}"
    ".lane li>span{grid-column:1/-1}}"
)
_NAMES: Final = {
    "request": "Request",
    "bus": "Event",
    "queue": "Consumer",
    "socket": "Feed",
    "push": "Push",
    "mail": "Mail",
    "stripe": "Stripe",
    "schedule": "Schedule",
    "dead": "Dead letter",
    "log": "Error",
}


def steps(traces: Iterable[Trace], session: str) -> list[LogLine]:
    """The lines that tell the story, oldest first: of these traces, without those that are about another session."""
    lines = (line for trace in traces for line in trace.lines if line.session in ("", session))
    told = (line for line in lines if line.kind in _NAMES and (line.kind != "log" or is_failure(line)))
    return sorted(told, key=_began)


def _began(line: LogLine) -> datetime:
    """A line stands there once its step is over."""
    return line.at - timedelta(milliseconds=line.milliseconds or 0)


def lane(told: list[LogLine]) -> str:
    """The story as a list."""
    groups = ((reads, list(lines)) for reads, lines in groupby(told, _only_reads))
    rows = (row for reads, lines in groups for row in ([_folded(lines)] if reads else _rows(lines)))
    return f'<ol class="lane">{"".join(rows)}</ol>'


def _only_reads(line: LogLine) -> bool:
    return line.kind in ("request", "stripe") and line.text.startswith("GET ") and not is_failure(line)


def _folded(lines: list[LogLine]) -> str:
    some = f"{len(lines)} reads" if len(lines) > 1 else "1 read"
    text = "\n".join(escape(str(line)) for line in lines)
    name = f"reads-{lines[0].at.timestamp():.6f}"
    return (
        f'<li class="reads"><details id="{name}"><summary>{some}</summary><pre tabindex="0">{text}</pre></details></li>'
    )


def _rows(lines: list[LogLine]) -> Iterator[str]:
    for line in lines:
        clock = _began(line).astimezone().strftime("%H:%M:%S.%f")[:-3]
        took = "" if line.milliseconds is None else f"{line.milliseconds:.0f} ms"
        failed = " data-failed" if is_failure(line) else ""
        yield (
            f'<li data-kind="{line.kind}"{failed}><time>{clock}</time>'
            f"<b>{_NAMES[line.kind]}</b><span>{escape(line.text)}</span>"
            f"<small>{escape(' '.join(word for word in (line.status, took) if word))}</small></li>"
        )
