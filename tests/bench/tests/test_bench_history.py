"""The history that the bench loads in bulk, past every trigger, is one that the product could have written."""

import psycopg
import pytest

from bench.database import history
from localcloud.database.postgres import Database
from support.invariants.sessions import violations


@pytest.mark.parametrize("through_queue", [False, True])
def test_the_loaded_history_keeps_every_invariant(database: Database, *, through_queue: bool) -> None:
    loaded: list[int] = []
    with psycopg.connect(database.superuser_url, autocommit=True) as superuser:
        history.load(superuser, 0, 40, loaded.append)
        history.load(superuser, 40, 60, loaded.append, through_queue=through_queue)
        assert superuser.execute("SELECT count(*) FROM sessions").fetchone() == (60,)
    with psycopg.connect(database.owner_url) as owner:
        assert violations(owner) == []
    assert loaded == [40, 20]
