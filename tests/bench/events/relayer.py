"""One relay, or its floor, in a process of its own: it waits for a line, works, and prints what it did.

`python -m bench.events.relayer relay` publishes the outbox. `floor` sends the same batches from memory: PutEvents with
its JSON and signature, but no database.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from itertools import batched

from autodoctor.db import Database
from autodoctor.events.bus import MOST_ENTRIES, put_events
from autodoctor.events.model import event_of
from autodoctor.events.relay import relay

PUT_SECONDS = 10.0
PLENTY_SECONDS = 3600.0


def main() -> None:
    """Prepare, say `ready`, wait for a line, work, print one JSON line; again until standard input ends."""
    database = Database(lambda: os.environ["DATABASE_URL"])
    work = {"relay": _relay, "floor": _floor}[sys.argv[1]](database)
    print("ready", flush=True)
    for _ in sys.stdin:
        began, used = time.monotonic(), time.process_time()
        published = work()
        done = {"published": published, "began": began, "ended": time.monotonic()}
        print(json.dumps(done | {"processor": time.process_time() - used}), flush=True)


def _relay(database: Database) -> Callable[[], int]:
    database.one("SELECT 1", ())

    def work() -> int:
        done = relay(database, lambda: PLENTY_SECONDS, grace_seconds=0)
        if done.failed or done.refused or done.set_aside:
            raise RuntimeError(f"the relay failed: {done}")
        return done.published

    return work


def _floor(database: Database) -> Callable[[], int]:
    rows = database.all("SELECT * FROM outbox_events ORDER BY subject_id, id", ())
    batches = list(batched((event_of(row) for row in rows), MOST_ENTRIES, strict=False))

    def work() -> int:
        for batch in batches:
            put_events(batch, timeout_seconds=PUT_SECONDS)
        return len(rows)

    return work


if __name__ == "__main__":
    main()
