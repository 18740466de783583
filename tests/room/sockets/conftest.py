"""Two who meet in a room by way of the API."""

import pytest

from support.account import Account, Caller


@pytest.fixture
def customer(account: Account) -> Caller:
    """Give a customer."""
    return account.customer()


@pytest.fixture
def mechanic(account: Account) -> Caller:
    """Give an active mechanic."""
    return account.mechanic()


@pytest.fixture
def session(account: Account, customer: Caller, mechanic: Caller) -> str:
    """Give the path of a session that the mechanic has accepted."""
    intake = account.queued(customer)
    mechanic.post(f"/api/mechanic/assignments/{intake['assignmentId']}/accept")
    return f"/api/sessions/{intake['sessionId']}"
