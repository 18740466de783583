"""What happened lately, in memory: the lines of the log by the request that caused them, and payloads to replay."""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from localcloud.causes import key_of
from localcloud.logline import Log, LogLine

_LINES = 4000
_INVOCATIONS = 400
_LARGEST_PAYLOAD_BYTES = 256 * 1024


@dataclass(frozen=True)
class Replayable:
    """One invocation: what the function was given."""

    request_id: str
    function: str
    payload: bytes


@dataclass
class Trace:
    """Everything with one cause, oldest first."""

    id: str
    lines: list[LogLine] = field(default_factory=list)
    invocations: list[Replayable] = field(default_factory=list)


class Traces:
    """Keeps the last few thousand lines and hundred invocations, and passes every line on."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._lines: deque[LogLine] = deque(maxlen=_LINES)
        self._causes: dict[str, str] = {}
        self._known: dict[str, str] = {}
        self._invocations: OrderedDict[str, tuple[str, Replayable]] = OrderedDict()

    def take(self, line: LogLine) -> None:
        """Keep a line and pass it on."""
        if line.request_id:
            self._known.setdefault(key_of(line.request_id), line.request_id)
            if line.cause and line.cause != key_of(line.request_id):
                self._causes[line.request_id] = line.cause  # its own first line may come later
        self._lines.append(line)
        if len(self._known) > 2 * _LINES:
            self._forget()
        self._log(line)

    def invoked(self, trace: str, invocation: Replayable) -> None:
        """Keep an invocation, to be replayed."""
        if len(invocation.payload) <= _LARGEST_PAYLOAD_BYTES:
            self._known.setdefault(key_of(trace), trace)
            self._invocations[invocation.request_id] = (trace, invocation)
            while len(self._invocations) > _INVOCATIONS:
                self._invocations.popitem(last=False)

    def invocation(self, request_id: str) -> Replayable | None:
        """One that is still kept."""
        found = self._invocations.get(request_id)
        return found[1] if found else None

    def newest(self, kind: str | None = None) -> Iterator[Trace]:
        """Traces, the one with the newest line first; `kind`: only those with a line of that kind."""
        gathered: OrderedDict[str, Trace] = OrderedDict()
        for line in self._lines:
            root = self._root(line.request_id) or f"alone-{id(line)}"
            gathered.setdefault(root, Trace(root)).lines.append(line)
            gathered.move_to_end(root)
        for trace, invocation in self._invocations.values():
            if (root := self._root(trace)) in gathered:
                gathered[root].invocations.append(invocation)
        for found in reversed(gathered.values()):
            if kind is None or any(line.kind == kind for line in found.lines):
                yield found

    def _root(self, trace: str) -> str:
        seen = {trace}
        while (cause := self._known.get(self._causes.get(trace, ""))) is not None and cause not in seen:
            trace = cause
            seen.add(trace)
        return trace

    def _forget(self) -> None:
        kept = {line.request_id for line in self._lines}
        self._causes = {child: cause for child, cause in self._causes.items() if child in kept}
        named = set(self._causes.values())
        self._known = {key: trace for key, trace in self._known.items() if trace in kept or key in named}
