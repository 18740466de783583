"""Recent activity, in memory: log lines grouped by the request that caused them, and payloads to replay.

Each kind of trace has a limit of its own, so that a page's polling pushes out only traces of its kind.
"""

import re
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from localcloud.host.logline import Log, LogLine
from localcloud.services.causes import key_of

CHANGES: Final = "change"
KEPT: Final = 150
"""Traces of each kind."""

_LINES: Final = 400
_SESSION: Final = re.compile(r"/(?:sessions|intakes)/([0-9a-f]{8}-[0-9a-f-]{27})")  # an intake has its session's id
_STRANDS: Final = 2000
_INVOCATIONS: Final = 400
_LARGEST_PAYLOAD_BYTES: Final = 256 * 1024
_TELLING: Final = frozenset({"dead", "mail", "bus", "stripe"})


@dataclass(frozen=True)
class Replayable:
    """One invocation: the function and its payload."""

    request_id: str
    function: str
    payload: bytes


@dataclass
class Trace:
    """All lines with one cause, oldest first."""

    id: str
    lines: list[LogLine] = field(default_factory=list)
    invocations: list[Replayable] = field(default_factory=list)

    @property
    def asked(self) -> str:
        """Method and path of the request it began with; empty when it began otherwise."""
        return next((line.text for line in self.lines if line.kind == "request"), "")

    def is_of(self, kind: str | None) -> bool:
        """Whether it has a line of that kind; CHANGES: began with an API call that may change something; None: any."""
        if kind == CHANGES:
            verb, _, path = self.asked.partition(" ")
            return verb != "GET" and path.startswith("/api/")
        return kind is None or any(line.kind == kind for line in self.lines)

    def sessions(self) -> set[str]:
        """The ids of the sessions that it is about: those of its events, and in the paths of its requests."""
        named = {line.session for line in self.lines if line.session and line.kind != "push"}
        return named | {found for line in self.lines if line.kind == "request" for found in _SESSION.findall(line.text)}

    def is_about(self, session: str) -> bool:
        """Whether it belongs to the story of this session; a push to a browser only says what it is about."""
        return session in self.sessions() or any(line.session == session for line in self.lines)

    def labels(self) -> set[str]:
        """Its labels: it is kept while it is among the newest of any of them. Reads at Stripe give no label."""
        found = {str(line.kind) for line in self.lines if not line.text.startswith("GET ")} & _TELLING
        if self.is_of(CHANGES):
            found.add(CHANGES)
        schedule = next((line.text for line in self.lines if line.kind == "schedule"), None)
        rest = "file" if self.asked.startswith("GET /console/") else self.lines[0].kind
        return found or {rest if schedule is None else f"schedule {schedule}"}


type _Numbered = tuple[int, LogLine]


class Traces:
    """Keeps the newest traces of each kind whole, and passes every line on.

    Attributes:
        forgotten: kinds of lines of which some have been dropped.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._numbers = count()
        self._strands: defaultdict[str, list[_Numbered]] = defaultdict(list)
        self._causes: dict[str, str] = {}
        self._known: dict[str, str] = {}
        self._invocations: OrderedDict[str, tuple[str, Replayable]] = OrderedDict()
        self._most = _STRANDS
        self.forgotten: set[str] = set()

    def take(self, line: LogLine) -> None:
        """Keep a line and pass it on."""
        number = next(self._numbers)
        if line.request_id:
            self._known.setdefault(key_of(line.request_id), line.request_id)
            if line.cause and line.cause != key_of(line.request_id):
                self._causes[line.request_id] = line.cause  # the cause's own first line may come later
        strand = self._strands[line.request_id or f"alone-{number}"]
        strand.append((number, line))
        if len(strand) > _LINES:
            del strand[1]  # not the first, which is the headline
        if len(self._strands) > self._most:
            self._forget()
        self._log(line)

    def invoked(self, trace: str, invocation: Replayable) -> None:
        """Keep an invocation for replay."""
        if len(invocation.payload) <= _LARGEST_PAYLOAD_BYTES:
            self._known.setdefault(key_of(trace), trace)
            self._invocations[invocation.request_id] = (trace, invocation)

    def invocation(self, request_id: str) -> Replayable | None:
        """An invocation, if it is still kept."""
        found = self._invocations.get(request_id)
        return found[1] if found else None

    def newest(self, kind: str | None = None) -> Iterator[Trace]:
        """Traces, the one with the newest line first; with `kind`, only those of that kind."""
        gathered = self._gathered()
        for trace, invocation in self._invocations.values():
            if (root := self._root(trace)) in gathered:
                gathered[root].invocations.append(invocation)
        return (trace for trace in gathered.values() if trace.is_of(kind))

    def _gathered(self) -> dict[str, Trace]:
        """Traces by their first line, the one with the newest line first; without invocations."""
        gathered: defaultdict[str, list[_Numbered]] = defaultdict(list)
        for name, strand in self._strands.items():
            gathered[self._root(name)] += strand
        ordered = {root: sorted(lines, key=lambda each: each[0]) for root, lines in gathered.items()}
        newest_first = sorted(ordered.items(), key=lambda each: each[1][-1][0], reverse=True)
        return {root: Trace(root, [line for _, line in lines]) for root, lines in newest_first}

    def _root(self, trace: str) -> str:
        seen = {trace}
        while (cause := self._known.get(self._causes.get(trace, ""))) is not None and cause not in seen:
            trace = cause
            seen.add(trace)
        return trace

    def _forget(self) -> None:
        """Drop the traces that are not among the newest under any of their labels."""
        kept, shown = set(), Counter[str]()
        for root, trace in self._gathered().items():
            labels = trace.labels()
            if any(shown[label] < KEPT for label in labels):
                kept.add(root)
            else:
                self.forgotten |= {line.kind for line in trace.lines}
            shown.update(labels)
        self._strands = defaultdict(list, {id_: each for id_, each in self._strands.items() if self._root(id_) in kept})
        self._most = max(_STRANDS, 2 * len(self._strands))  # so that this runs for few lines
        recent = set(list(self._invocations)[-_INVOCATIONS:])  # a request's line comes after those of its invocations
        for id_, (trace_id, _) in list(self._invocations.items()):
            if id_ not in recent and self._root(trace_id) not in kept:
                del self._invocations[id_]
        named = kept | set(self._strands) | {trace_id for trace_id, _ in self._invocations.values()}
        self._causes = {child: cause for child, cause in self._causes.items() if child in named}
        self._known = {key: trace_id for key, trace_id in self._known.items() if trace_id in named}
