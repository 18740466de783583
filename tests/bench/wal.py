"""Rows: bytes of write-ahead log that each transition causes, audit included, against procrastinate's.

Bytes are differences of the insert position over many calls. A page's first change after a checkpoint also
writes an image of the whole page; how many depends on when checkpoints come, not on the schema, so there is no
checkpoint while we measure, the first round, which writes most of the images, is thrown away, and the images
that pg_waldump still finds are subtracted and shown beside it.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from bench.judge import Row, Target
from bench.procrastinate_peer import Procrastinate
from bench.server import BenchServer
from bench.walks import Consultation, Walks

CALLS: Final = 200
AT_MOST: Final = 1.5
# What a consultation moves: the session and its assignment, each with an audit row of its own.
_MOVES: Final = {
    "intake: session and assignment are created": 2,
    "waiver: assignment is queued": 1,
    "accept: session waiting, assignment accepted": 2,
    "join of the customer: evidence only": 0,
    "join of the mechanic: evidence, session live": 1,
    "end: session and assignment ended": 2,
}
_TOTAL: Final = re.compile(r"^Total\s+\d+\s+\d+ \[[^]]*\]\s+(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Written:
    """Bytes of log per call: what the change itself takes, and whole-page images on top."""

    changes: float
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
        taken = int(self._server.value("SELECT pg_wal_lsn_diff(%s, %s)", after, before))
        images = self._images(before, after)
        return Written((taken - images) / count, images / count)

    def _position(self) -> str:
        return str(self._server.value("SELECT pg_current_wal_insert_lsn()"))

    def _images(self, start: str, end: str) -> int:
        folder = self._server.server.home / "pgdata" / "pg_wal"
        options = ("-p", str(folder), "-s", start, "-e", end, "--stats=record")
        return page_images(self._server.run_program("pg_waldump", *options))


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
        yield Row(f"WAL: {name}", "bytes", written.changes, cause=f"+ {written.images:.0f} of page images, not counted")
    ours_bytes, theirs_bytes = _sum(ours), _sum(theirs) / len(theirs)
    yield Row(
        name=f"WAL per transition with its audit row ({sum(_MOVES.values())} in one consultation, evidence included)",
        unit="bytes",
        measured=ours_bytes / sum(_MOVES.values()),
        reference=theirs_bytes,
        reference_name="procrastinate",
        target=Target(AT_MOST),
        gated=True,
        cause="see the kinds of call above",
    )
    yield Row(
        name="WAL per call of a consultation, however many rows it moves",
        unit="bytes",
        measured=ours_bytes / len(_MOVES),
        reference=theirs_bytes,
        reference_name="procrastinate",
        cause="for comparison: one of our calls moves up to two rows, each audited; procrastinate's moves one",
    )


def page_images(printed: str) -> int:
    """Bytes of whole-page images, from the totals of `pg_waldump --stats=record`."""
    found = _TOTAL.search(printed)
    if not found:
        raise RuntimeError(f"pg_waldump printed no totals: {printed}")
    return int(found[1])


def _ours(meter: WalMeter, walks: Walks) -> dict[str, Written]:
    mechanics = [walks.mechanic() for _ in range(CALLS)]
    started: list[Consultation] = []
    api = walks.api

    def intake() -> None:
        started.extend(walks.start(mechanic) for mechanic in mechanics)

    def join(role: str) -> Callable[[Consultation], object]:
        return lambda c: api.presence("join", _party(c, role), f"{role}s", c.session_id)

    each: list[Callable[[Consultation], object]] = [
        lambda c: api.sign(c.customer, c.session_id),
        lambda c: api.accept(c.mechanic, c.assignment_id),
        join("customer"),
        join("mechanic"),
        lambda c: api.end(c.mechanic, "mechanics", c.session_id),
    ]
    written = [meter.written(intake, CALLS)]
    written += [meter.written(lambda call=call: [call(c) for c in started], CALLS) for call in each]  # type: ignore[misc]
    return dict(zip(_MOVES, written, strict=True))


def _theirs(meter: WalMeter, peer: Procrastinate) -> dict[str, Written]:
    jobs: list[int] = []
    worker = peer.worker()
    return {
        "procrastinate: enqueue": meter.written(lambda: [peer.enqueue() for _ in range(CALLS)], CALLS),
        "procrastinate: fetch": meter.written(lambda: jobs.extend(peer.fetch(worker) for _ in range(CALLS)), CALLS),
        "procrastinate: finish": meter.written(lambda: peer.finish_all(jobs), CALLS),
    }


def _party(consultation: Consultation, role: str) -> UUID:
    return consultation.customer if role == "customer" else consultation.mechanic


def _sum(written: dict[str, Written]) -> float:
    return sum(each.changes for each in written.values())
