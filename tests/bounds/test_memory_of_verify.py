"""What verify holds is a window of rows, however many there are."""

import tracemalloc
from typing import Final

import pytest

from autodoctor.integrity.verify import WINDOW, reader, verify
from support.database.crowd import Crowd

MOST_BYTES: Final = 60_000_000
"""Of a window of a thousand sessions with the longest texts and timelines, of which there is one for all."""


@pytest.mark.slow
def test_verify_holds_one_window_however_many_there_are(crowd: Crowd) -> None:
    with reader(crowd.urls.superuser_url, "verify") as connection:
        tracemalloc.start()
        try:
            outcome = verify(connection)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert outcome.examined["sessions"] == 2 * crowd.rows > WINDOW
    assert peak < MOST_BYTES
