"""Rows: accepts a second by 8 clients, against the bare UPDATE and against procrastinate's fetch and finish.

pgbench is the client of all three, so that none pays for Python, and runs exactly the statement of the product
(extended protocol, parsed each time, as behind RDS Proxy). The three take turns within a round; the first round
is thrown away.
"""

import re
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, LiteralString

from autodoctor.sessions import accept
from bench.database.procrastinate_peer import Procrastinate
from bench.http.server import BenchServer, bench_server
from bench.measure import machine, processor
from bench.measure.judge import Row, Target, noise

CLIENTS: Final = 8
# Calls of each client in a round: about as long for each contestant, and long beside what a connection loads first.
CALLS: Final = {"floor": 3200, "accept": 400, "procrastinate": 800}
ROUNDS: Final = 9
_TPS: Final = re.compile(r"^tps = ([\d.]+)", re.MULTILINE)

# One id per kind and number, made alike by SQL here and by pgbench below.
_ID: Final[LiteralString] = "('%(kind)s0000000-0000-7000-8000-' || lpad(to_hex(%(n)s), 12, '0'))::uuid"

_SEED: Final[tuple[LiteralString, ...]] = (
    "SET LOCAL session_replication_role = replica",
    """
CREATE FUNCTION pg_temp.made(kind integer, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT (kind || '0000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid $$
""",
    "CREATE TEMPORARY TABLE wanted ON COMMIT DROP AS SELECT n FROM generate_series(1, {count}::bigint) n",
    "INSERT INTO mechanics (id, user_id, name) SELECT pg_temp.made(1, n), pg_temp.made(2, n), 'Mia Moreno' FROM wanted",
    """
INSERT INTO customers (id, user_id, name, email)
SELECT pg_temp.made(3, n), pg_temp.made(4, n), 'Cora Castillo', 'cora@example.com' FROM wanted
""",
    """
INSERT INTO intakes (id, customer_id, plan_code, funding, session_type, price_cents, currency, credits,
                     mechanic_share_bp, max_minutes, customer_name, vehicle, concern, urgent)
SELECT pg_temp.made(5, n), pg_temp.made(3, n), 'free', 'free', 'chat', 0, 'usd', 0, 0, 180, 'Cora Castillo',
       '{{"year": 2019, "make": "Volvo", "model": "V60"}}', 'The brakes squeal when I stop at low speed.', false
  FROM wanted
""",
    """
INSERT INTO sessions (id, customer_id, current_assignment_id)
SELECT pg_temp.made(5, n), pg_temp.made(3, n), pg_temp.made(6, n) FROM wanted
""",
    "INSERT INTO rooms (session_id) SELECT pg_temp.made(5, n) FROM wanted",
    """
INSERT INTO session_assignments (id, session_id, status, queued_at)
SELECT pg_temp.made(6, n), pg_temp.made(5, n), 'queued', now() FROM wanted
""",
    """
INSERT INTO session_participants (session_id, role, customer_id)
SELECT pg_temp.made(5, n), 'customer', pg_temp.made(3, n) FROM wanted
""",
    """
CREATE TABLE bench_floor AS
SELECT pg_temp.made(6, n) AS id, 'pending'::text AS status, NULL::uuid AS mechanic_id, repeat('x', 100) AS rest
  FROM generate_series(1, {floor}::bigint) n
""",
    "ALTER TABLE bench_floor ADD PRIMARY KEY (id)",
)

_NEXT: Final = "\\set i :i + 1\n\\set n :base + :client_id * :calls + :i\n"
_FLOOR: Final = (
    _NEXT + "UPDATE bench_floor SET status = 'waiting', mechanic_id = {mechanic} "
    "WHERE id = {assignment} AND status = 'pending';\n"
)
_FETCH_AND_FINISH: Final = (
    "SELECT id AS job FROM procrastinate_fetch_job_v2(NULL, (:client_id + 1)::bigint) \\gset\n"
    "SELECT procrastinate_finish_job_v1(:job, 'succeeded', false);\n"
)


def rows() -> Iterator[Row]:
    """Ours against the floor and against the peer: rates, and the processor time behind them."""
    with bench_server(durable=True) as server, tempfile.TemporaryDirectory() as scripts:
        peer = Procrastinate(server)
        totals = {name: CLIENTS * calls * (ROUNDS + 1) + processor.CALLS for name, calls in CALLS.items()}
        seed(server, totals["accept"], totals["floor"])
        for _ in range(CLIENTS):
            peer.worker()
        peer.enqueue_many(totals["procrastinate"])
        contestants = {
            "floor": (server.database.superuser_url, _script(scripts, "floor", _FLOOR)),
            "accept": (server.database.app_url, _script(scripts, "accept", _NEXT + _accept_statement() + ";\n")),
            "procrastinate": (peer.urls.owner_url, _script(scripts, "procrastinate", _FETCH_AND_FINISH)),
        }
        busy = machine.busy()
        samples: dict[str, list[float]] = {name: [] for name in contestants}
        for number in range(ROUNDS + 1):
            _vacuum(server, peer)
            for name, (url, script) in contestants.items():
                rate = _rate(server, url, script, CALLS[name], number)
                if number:
                    samples[name].append(rate)
        _vacuum(server, peer)
        shares = list(processor.rows(server, peer, {name: each - processor.CALLS for name, each in totals.items()}))
        _all_done(server, totals)
        peer.close()
    cause = " and ".join(f"{row.ratio:.1f} times the processor time of {row.reference_name}" for row in shares)
    yield from _compared(samples, noise(samples["floor"], busy), cause)
    yield from shares


def _compared(samples: dict[str, list[float]], refused: str, cause: str) -> Iterator[Row]:
    for other, name, bound in (
        ("floor", "bare UPDATE", 0.5),
        ("procrastinate", "procrastinate fetch + finish", 1.0),
    ):
        yield Row(
            name=f"accepts a second, {CLIENTS} clients, against {name}",
            unit="/s",
            measured=statistics.median(samples["accept"]),
            reference=statistics.median(samples[other]),
            reference_name=name,
            target=Target(bound, at_least=True),
            refused=refused,
            cause=f"no wait for the disk to hide behind here; an accept takes the server {cause}",
            samples={"accept": samples["accept"], other: samples[other]},
        )


def seed(server: BenchServer, count: int, floor: int) -> None:
    """Make so many requests to accept, and so many rows of the floor, numbered from 1."""
    with server.superuser.transaction():
        for statement in _SEED:
            server.superuser.execute(statement.format(count=count, floor=floor))
        server.superuser.execute("DROP FUNCTION pg_temp.made")


def _vacuum(server: BenchServer, peer: Procrastinate) -> None:
    """What autovacuum, which is off, would do for both."""
    for connection in (server.superuser, peer.connection):
        connection.execute("VACUUM ANALYZE")


def _accept_statement() -> str:
    """The product's statement with pgbench's numbers in place of its parameters."""
    values = {"user_id": _made(2), "assignment_id": _made(6)}
    return accept._ACCEPT % {name: f"{value}" for name, value in values.items()}  # noqa: SLF001 (what is measured)


def _made(kind: int) -> str:
    return _ID % {"kind": kind, "n": ":n::bigint"}


def _script(folder: str, name: str, text: str) -> str:
    file = Path(folder) / f"{name}.sql"
    text = text.format(mechanic=_made(1), assignment=_made(6)) if name == "floor" else text
    file.write_text(text)
    return str(file)


def _rate(server: BenchServer, url: str, script: str, calls: int, number: int) -> float:
    """Transactions a second of round `number`, without the time it takes to connect."""
    printed = server.run_program(
        "pgbench",
        *("--no-vacuum", "--protocol=extended", f"--client={CLIENTS}", "--jobs=2", f"--transactions={calls}"),
        *("-D", f"base={number * CLIENTS * calls}", "-D", f"calls={calls}", "-D", "i=0", f"--file={script}", url),
    )
    found = _TPS.search(printed)
    assert found, printed
    return float(found[1])


def _all_done(server: BenchServer, totals: dict[str, int]) -> None:
    """Raise where a contestant did less than it was timed for."""
    accepted = server.value("SELECT count(*) FROM sessions WHERE status = 'waiting'")
    moved = server.value("SELECT count(*) FROM bench_floor WHERE status = 'waiting'")
    if (accepted, moved) != (totals["accept"], totals["floor"]):
        raise RuntimeError(f"{accepted} accepts and {moved} updates of the floor took place, not {totals}")
