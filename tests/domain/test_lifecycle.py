"""SPEC.md#states, spelled out a second time: a changed move has to be changed here too."""

from itertools import product

from autodoctor.domain.lifecycle import (
    ACTIVE_SESSION,
    ASSIGNMENT_MOVES,
    OPEN_ASSIGNMENT,
    SESSION_MOVES,
    AssignmentStatus,
    SessionStatus,
)

SESSIONS = """
pending -> waiting, cancelled, expired
waiting -> live, pending, cancelled, expired
live -> completed, cancelled
scheduled -> pending, cancelled, expired
completed ->
cancelled ->
expired ->
"""

ASSIGNMENTS = """
pending_waiver -> queued, offered, cancelled, expired
queued -> offered, accepted, cancelled, expired
offered -> accepted, declined, cancelled, expired
accepted -> completed, cancelled, expired
declined ->
completed ->
cancelled ->
expired ->
"""


def moves(table: str) -> dict[str, set[str]]:
    rows = (line.split("->") for line in table.strip().splitlines())
    return {source.strip(): {target.strip() for target in targets.split(",")} - {""} for source, targets in rows}


def test_sessions_move_as_the_design_says() -> None:
    assert moves(SESSIONS) == SESSION_MOVES
    assert set(SESSION_MOVES) == set(SessionStatus)


def test_assignments_move_as_the_design_says() -> None:
    assert moves(ASSIGNMENTS) == ASSIGNMENT_MOVES
    assert set(ASSIGNMENT_MOVES) == set(AssignmentStatus)


def test_what_is_active_and_what_is_open() -> None:
    assert {"pending", "waiting", "live", "scheduled"} == ACTIVE_SESSION
    assert {"pending_waiver", "queued", "offered", "accepted"} == OPEN_ASSIGNMENT


def test_every_active_session_can_be_ended() -> None:
    ends = {SessionStatus.COMPLETED, SessionStatus.CANCELLED}
    assert all(SESSION_MOVES[status] & ends for status in ACTIVE_SESSION)


def test_nothing_leads_out_of_an_end() -> None:
    over = set(SessionStatus) - ACTIVE_SESSION
    assert not [(source, target) for source, target in product(over, SessionStatus) if target in SESSION_MOVES[source]]
