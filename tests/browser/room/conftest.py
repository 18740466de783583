"""What the tests of the session's page share."""

from collections.abc import Iterator

import pytest

from support.account import Account


@pytest.fixture(autouse=True)
def everybody_is_free(account: Account) -> Iterator[None]:
    """End what a test leaves open, or the roster's mechanic could take nothing in the next one."""
    yield
    open_sessions = account.world.owner.execute("SELECT id FROM sessions WHERE ended_at IS NULL").fetchall()
    for session in open_sessions:
        account.admin().post(f"/api/sessions/{session['id']}/end")
