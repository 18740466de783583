"""Sessions that ended in the past, for the tests of dashboards and alerts."""

import pytest

from support.sessions.past_sessions import PastSessions
from support.world import World


@pytest.fixture
def past_sessions(world: World) -> PastSessions:
    """Give the test a writer of sessions that ended in the past."""
    return PastSessions(world)
