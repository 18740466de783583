"""The peer for writing and claiming: procrastinate, a job queue on PostgreSQL that keeps an audit row per transition.

Its own schema and SQL functions are called with psycopg, without its Python client, which favours it.
"""

from typing import Any, Final, LiteralString

import psycopg
from procrastinate.schema import SchemaManager

from bench.http.server import BenchServer

DATABASE: Final = "procrastinate"

ENQUEUE: Final[LiteralString] = """
SELECT unnest(procrastinate_defer_jobs_v1(ARRAY[ROW(
  'consultations', 'assign', 0, NULL, NULL,
  '{"assignment_id": "01a11e0c-7e2f-7d1c-b3aa-111111111111"}', NULL)]::procrastinate_job_to_defer_v1[]))
"""
FETCH: Final[LiteralString] = "SELECT id FROM procrastinate_fetch_job_v2(NULL, %(worker)s)"
FINISH: Final[LiteralString] = "SELECT procrastinate_finish_job_v1(%(job)s, 'succeeded', false)"
_REGISTER: Final[LiteralString] = "SELECT worker_id FROM procrastinate_register_worker_v1()"
_BULK: Final[LiteralString] = """
SELECT count(*) FROM unnest(procrastinate_defer_jobs_v1(ARRAY(
  SELECT ROW('consultations', 'assign', 0, NULL, NULL, jsonb_build_object('assignment_id', n), NULL)
           ::procrastinate_job_to_defer_v1
    FROM generate_series(1, %(count)s::integer) n)))
"""


class Procrastinate:
    """Procrastinate's tables in a database of their own on the same server."""

    def __init__(self, server: BenchServer) -> None:
        """Create the database and the schema."""
        self.urls = server.server.create_database(DATABASE)
        self.connection: psycopg.Connection[tuple[Any, ...]] = psycopg.connect(
            self.urls.owner_url, autocommit=True, prepare_threshold=None
        )
        self.connection.execute(SchemaManager.get_schema())

    def worker(self) -> int:
        """Register a worker."""
        return self._number(_REGISTER)

    def enqueue(self) -> int:
        """Add one job."""
        return self._number(ENQUEUE)

    def enqueue_many(self, count: int) -> None:
        """Add jobs in one statement."""
        self._number(_BULK, count=count)

    def fetch(self, worker: int) -> int:
        """Claim the next job for `worker`."""
        return self._number(FETCH, worker=worker)

    def finish_all(self, jobs: list[int]) -> None:
        """Mark claimed jobs as succeeded, one after the other."""
        for job in jobs:
            self.connection.execute(FINISH, {"job": job})

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def _number(self, query: LiteralString, **parameters: int) -> int:
        row = self.connection.execute(query, parameters).fetchone()
        assert row is not None
        return int(row[0])
