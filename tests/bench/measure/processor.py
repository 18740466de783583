"""Rows: processor time that the server spends on one accept, against three others.

Taken from the backends that did the work, which take turns, and of the rounds the least: whatever else the machine does
only adds to it. It explains the rates: where the disk is fast, as virtual ones are, they are processor time and nothing
else.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg

from autodoctor.sessions import accept
from bench.database.procrastinate_peer import FETCH, FINISH, Procrastinate
from bench.http.server import BenchServer
from bench.measure.judge import Row, Target
from bench.measure.processes import HAS_PROC, processor_seconds

ROUND: Final = 50
CALLS: Final = 500
"""Of each contestant, in rounds; the first one fills the caches."""

# The facts that an accept leaves, in tables with the indexes by which rows are found, and nothing else.
_BY_HAND_TABLES: Final[tuple[LiteralString, ...]] = (
    "CREATE TABLE hand_sessions AS TABLE sessions",
    "CREATE TABLE hand_assignments AS TABLE session_assignments",
    "CREATE TABLE hand_rooms AS TABLE rooms",
    "ALTER TABLE hand_sessions ADD PRIMARY KEY (id)",
    "ALTER TABLE hand_assignments ADD PRIMARY KEY (id)",
    "ALTER TABLE hand_rooms ADD PRIMARY KEY (session_id)",
    "CREATE TABLE hand_participants (LIKE session_participants INCLUDING DEFAULTS)",
    "CREATE TABLE hand_events (LIKE session_events INCLUDING DEFAULTS)",
    "CREATE TABLE hand_assignment_events (LIKE session_assignment_events INCLUDING DEFAULTS)",
    "CREATE TABLE hand_outbox (LIKE outbox INCLUDING DEFAULTS)",
    "CREATE TABLE hand_messages (LIKE session_messages INCLUDING DEFAULTS)",
    "ANALYZE",
)
_BY_HAND: Final[LiteralString] = """
WITH m AS (SELECT id FROM mechanics WHERE user_id = %(user_id)s AND status = 'active'),
s AS (UPDATE hand_sessions s SET status = 'waiting', mechanic_id = m.id, accepted_at = clock_timestamp()
        FROM m, hand_assignments a
       WHERE a.id = %(assignment_id)s AND s.id = a.session_id AND s.status = 'pending'
      RETURNING s.id, s.mechanic_id),
a AS (UPDATE hand_assignments a SET status = 'accepted', mechanic_id = s.mechanic_id FROM s
       WHERE a.id = %(assignment_id)s RETURNING a.id, a.session_id),
p AS (INSERT INTO hand_participants (session_id, role, mechanic_id) SELECT id, 'mechanic', mechanic_id FROM s),
e AS (INSERT INTO hand_events (session_id, from_status, to_status, actor, actor_id)
      SELECT id, 'pending', 'waiting', 'mechanic', %(user_id)s FROM s RETURNING session_id, id),
x AS (INSERT INTO hand_assignment_events (session_id, assignment_id, from_status, to_status, actor, actor_id)
      SELECT session_id, id, 'queued', 'accepted', 'mechanic', %(user_id)s FROM a RETURNING session_id, id),
o AS (INSERT INTO hand_outbox (subject_id, id) SELECT * FROM e UNION ALL SELECT * FROM x),
r AS (UPDATE hand_rooms r SET latest = latest + 1 FROM s WHERE r.session_id = s.id RETURNING r.session_id, r.latest)
INSERT INTO hand_messages (session_id, seq, role, kind, note, text)
SELECT session_id, latest, 'system', 'system', 'accepted', 'A mechanic has accepted the request.' FROM r RETURNING seq
"""

type Connection = psycopg.Connection[tuple[Any, ...]]
type Call = Callable[[Connection, int], None]


def made(kind: int, number: int) -> UUID:
    """The id that claims.py seeded for this kind and number."""
    return UUID(f"{kind}0000000-0000-7000-8000-{number:012x}")


def rows(server: BenchServer, peer: Procrastinate, first: Mapping[str, int]) -> Iterator[Row]:
    """Three rows; uses each contestant's seeds from `first` to `first + CALLS`. None where the system has no /proc."""
    if not HAS_PROC:
        return
    for statement in _BY_HAND_TABLES:
        server.superuser.execute(statement)
    superuser, offset = server.database.superuser_url, first["accept"]
    contestants: dict[str, tuple[str, Call, int]] = {
        "accept": (server.database.app_url, take, offset),
        "bare UPDATE": (superuser, _update, first["floor"]),
        "the same facts by hand": (superuser, _write_by_hand, offset),
        "procrastinate fetch + finish": (peer.urls.owner_url, _fetch_and_finish(peer.worker()), 0),
    }
    made_in = least(contestants)
    targets = {"the same facts by hand": Target(1.8), "procrastinate fetch + finish": Target(1.0)}
    for other, value in made_in.items():
        if other != "accept":
            yield Row(
                name=f"processor time of the server: accept against {other}",
                unit="µs",
                measured=made_in["accept"],
                reference=value,
                reference_name=other,
                target=targets.get(other),
                cause=f"the least of {CALLS // ROUND - 1} rounds of {ROUND}",
            )


def least(contestants: Mapping[str, tuple[str, Call, int]]) -> dict[str, float]:
    """Microseconds a call of each, in the round that took its backend least.

    Args:
        contestants: by name, where to connect, what to call, and the number before the first one it is called with.
    """
    rounds: dict[str, list[float]] = {name: [] for name in contestants}
    with ExitStack() as stack:
        connections = {
            name: stack.enter_context(psycopg.connect(url, autocommit=True, prepare_threshold=None))
            for name, (url, _, _) in contestants.items()
        }
        for start in range(1, CALLS, ROUND):
            for name, (_, call, first) in contestants.items():
                connection = connections[name]
                before = processor_seconds(connection.info.backend_pid)
                for number in range(first + start, first + start + ROUND):
                    call(connection, number)
                rounds[name].append((processor_seconds(connection.info.backend_pid) - before) * 1e6 / ROUND)
    return {name: min(each[1:]) for name, each in rounds.items()}


def _update(connection: Connection, number: int) -> None:
    connection.execute(
        "UPDATE bench_floor SET status = 'waiting', mechanic_id = %s WHERE id = %s AND status = 'pending'",
        [made(1, number), made(6, number)],
    )


def take(connection: Connection, number: int) -> None:
    """Accept the request that claims.py seeded under this number."""
    connection.execute(accept._ACCEPT, _named(number))  # noqa: SLF001 (what is measured)


def _write_by_hand(connection: Connection, number: int) -> None:
    done = connection.execute(_BY_HAND, _named(number), prepare=True)  # ours has its plans kept by its function
    assert done.rowcount == 1


def _fetch_and_finish(worker: int) -> Call:
    def call(connection: Connection, _number: int) -> None:
        job = connection.execute(FETCH, {"worker": worker}).fetchone()
        assert job is not None
        connection.execute(FINISH, {"job": job[0]})

    return call


def _named(number: int) -> dict[str, UUID]:
    return {"user_id": made(2, number), "assignment_id": made(6, number)}
