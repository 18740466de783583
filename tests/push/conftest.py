"""A world whose events call browsers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.database.postgres import Database
from support.push_env import PushEnv, open_push_env


@pytest.fixture
def push_env(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PushEnv]:
    """Open one for a test."""
    with open_push_env(database, tmp_path, monkeypatch) as env:
        yield env
