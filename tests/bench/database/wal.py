"""Rows: bytes of write-ahead log that each transition causes, audit and outbox included, against procrastinate's.

Bytes are differences of the insert position over many calls. A page's first change after a checkpoint also
writes an image of the whole page; how many depends on when checkpoints come, not on the schema, so there is no
checkpoint while we measure, the first round, which writes most of the images, is thrown away, and the images
that pg_waldump still finds are subtracted and shown beside it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from bench.database.procrastinate_peer import Procrastinate
from bench.database.wal_records import bytes_of, records
from bench.http.server import BenchServer
from bench.http.walks import MINIMUM_SECONDS, Consultation, Walks
from bench.measure.judge import Row, Target

CALLS: Final = 200
AT_MOST: Final = 1.5
KEPT: Final = 1970
"""Bytes per transition that CI holds us to while the target is missed, at 1,909 (DECISIONS.md#d36, #d96)."""
# What a consultation moves: the session and its assignment, each with an audit row and an event of its own.
_MOVES: Final = {
    "intake: session and assignment are created": 2,
    "waiver: assignment is queued": 1,
    "accept: session waiting, assignment accepted": 2,
    "the customer enters the room: evidence only": 0,
    "the mechanic enters the room: evidence, session live": 1,
    "end: session and assignment completed": 2,
}
_PUBLISHING: Final = "after those commits: published, and so out of the outbox"
_OUTBOX: Final = "outbox"


@dataclass(frozen=True)
class Written:
    """Bytes of log per call: what the change itself takes, how much of it is the outbox's, and whole-page images."""

    changes: float
    outbox: float
    images: float


class WalMeter:
    """Reads the log's insert position around many calls."""

    def __init__(self, server: BenchServer) -> None:
        self._server = server

    def written(self, calls: Callable[[], object], count: int) -> Written:
        """Bytes per call of `calls`, which makes `count` of them."""
        before = self._position()
        calls()
        after = self._position()
        if before == after:
            return Written(0, 0, 0)
        taken = int(self._server.value("SELECT pg_wal_lsn_diff(%s, %s)", after, before))
        self._flush()
        read = records(self._printed(before, after))
        images = sum(record.images for record in read)
        relations = bytes_of(self._relations(), read)
        outbox = sum(size for name, size in relations.items() if name.startswith(_OUTBOX))
        return Written((taken - images) / count, outbox / count, images / count)

    def _position(self) -> str:
        return str(self._server.value("SELECT pg_current_wal_insert_lsn()"))

    def _flush(self) -> None:
        """Have all of it on disk, where pg_waldump reads it: marks of published events do not wait for that."""
        with self._server.superuser.transaction():
            self._server.superuser.execute("SET LOCAL synchronous_commit TO on")
            self._server.superuser.execute("SELECT pg_logical_emit_message(true, '', '')")

    def _relations(self) -> dict[str, str]:
        found = self._server.superuser.execute("SELECT pg_relation_filenode(oid)::text, relname FROM pg_class")
        return {file: name for file, name in found if file is not None}

    def _printed(self, start: str, end: str) -> str:
        folder = self._server.server.home / "pgdata" / "pg_wal"
        return self._server.run_program("pg_waldump", "-p", str(folder), "-s", start, "-e", end, "--bkp-details")


def rows(server: BenchServer, walks: Walks) -> Iterator[Row]:
    """Ours per kind of call, procrastinate's, and the comparison."""
    meter, peer = WalMeter(server), Procrastinate(server)
    server.superuser.execute("CHECKPOINT")
    _ours(meter, walks)  # writes the page images
    ours = _ours(meter, walks)
    _theirs(meter, peer)
    theirs = _theirs(meter, peer)
    peer.close()
    for name, written in (ours | theirs).items():
        outbox = f"{written.outbox:.0f} of it the outbox; " if written.outbox else ""
        images = f"+ {written.images:.0f} of page images, not counted"
        yield Row(f"WAL: {name}", "bytes", written.changes, cause=outbox + images)
    yield from _compared(ours, sum(each.changes for each in theirs.values()) / len(theirs))


def _compared(ours: dict[str, Written], theirs: float) -> Iterator[Row]:
    moves = sum(_MOVES.values())
    total, outbox = (sum(getattr(each, part) for each in ours.values()) for part in ("changes", "outbox"))
    outbox += ours[_PUBLISHING].changes - ours[_PUBLISHING].outbox  # the commits of publishing
    yield Row(
        name=f"WAL per transition with its audit row and its event ({moves} in one consultation, evidence included)",
        unit="bytes",
        measured=total / moves,
        reference=theirs,
        reference_name="procrastinate",
        target=Target(AT_MOST),
        cause=f"{outbox / moves:.0f} bytes are the outbox's, see below; procrastinate keeps no outbox",
    )
    yield Row(
        name="WAL per transition: no more than when the target was missed",
        unit="bytes",
        measured=total / moves,
        target=Target(KEPT, on_ratio=False),
        gated=True,
    )
    yield Row(
        name="WAL per transition: the outbox's part, written, published and deleted",
        unit="bytes",
        measured=outbox / moves,
        reference=theirs,
        reference_name="procrastinate",
    )
    yield Row(
        name="WAL per transition with its audit row, without its event",
        unit="bytes",
        measured=(total - outbox) / moves,
        reference=theirs,
        reference_name="procrastinate",
        target=Target(AT_MOST),
        cause="with the intervals of evidence, and what the room says of each move",
    )
    yield Row(
        name="WAL per call of a consultation, however many rows it moves",
        unit="bytes",
        measured=total / len(_MOVES),
        reference=theirs,
        reference_name="procrastinate",
        cause="for comparison: one of our calls moves up to two rows, each audited; procrastinate's moves one",
    )


def _ours(meter: WalMeter, walks: Walks) -> dict[str, Written]:
    mechanics = [walks.mechanic() for _ in range(CALLS)]
    started: list[Consultation] = []
    api = walks.api
    written: dict[str, Written] = {}
    published: list[Written] = []

    def intake() -> None:
        started.extend(walks.start(mechanic) for mechanic in mechanics)

    def each(call: Callable[[Consultation], object]) -> Callable[[], object]:
        return lambda: [call(consultation) for consultation in started]

    def measure(names: Sequence[str], steps: Sequence[Callable[[], object]]) -> None:
        for name, step in zip(names, steps, strict=True):
            with api.unpublished():
                written[name] = meter.written(step, CALLS)
            published.append(meter.written(api.publish, CALLS))

    signing = each(lambda c: api.sign(c.customer, c.session_id))
    accepting = each(lambda c: api.accept(c.mechanic, c.assignment_id))
    names = list(_MOVES)
    measure(names[:3], [intake, signing, accepting])
    measure(
        names[3:5],
        [
            _entering(walks, [(c.customer, c.session_id) for c in started]),
            _entering(walks, [(c.mechanic, c.session_id) for c in started]),
        ],
    )
    for consultation in started:
        walks.say_each(consultation)  # what a message writes has rows of its own (message_cost.py)
    time.sleep(MINIMUM_SECONDS)
    measure(names[5:], [each(walks.end)])
    parts = (sum(getattr(each, part) for each in published) for part in ("changes", "outbox", "images"))
    return {**written, _PUBLISHING: Written(*parts)}


def _entering(walks: Walks, parties: Sequence[tuple[UUID, str]]) -> Callable[[], object]:
    """The parties enter their sessions' rooms, through connections that are opened now, before anything is read."""
    opened = [(walks.connected(sub), session_id) for sub, session_id in parties]

    def enter() -> None:
        for connection_id, session_id in opened:
            walks.api.enter(connection_id, session_id)

    return enter


def _theirs(meter: WalMeter, peer: Procrastinate) -> dict[str, Written]:
    jobs: list[int] = []
    worker = peer.worker()
    return {
        "procrastinate: enqueue": meter.written(lambda: [peer.enqueue() for _ in range(CALLS)], CALLS),
        "procrastinate: fetch": meter.written(lambda: jobs.extend(peer.fetch(worker) for _ in range(CALLS)), CALLS),
        "procrastinate: finish": meter.written(lambda: peer.finish_all(jobs), CALLS),
    }
