"""The verdict as a table that reads like the policy, and properties that hold for any evidence."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodoctor.domain.ending import Evidence, Verdict, verdict
from autodoctor.domain.lifecycle import EndReason, SessionStatus
from support.verdicts import BOTH, MAXIMUM, MINIMUM, NOON, POLICY, Case, after_noon, came, judgements, presence


@pytest.mark.parametrize("case", POLICY, ids=lambda case: case.policy)
def test_the_policy(case: Case) -> None:
    recorded = None if case.recorded_start is None else after_noon(case.recorded_start)
    judged = verdict(Evidence(case.accepted, recorded, presence(*case.events)), after_noon(case.now), MINIMUM, MAXIMUM)
    assert f"{judged.status} {judged.reason}" == case.outcome
    assert judged.started_at == (None if case.start is None else after_noon(case.start))
    assert judged.ended_at == after_noon(case.end)
    assert judged.absent == case.absent


def test_the_minimum_is_whatever_is_in_force() -> None:
    evidence = Evidence(accepted=True, started_at=NOON, presence=presence(*BOTH))
    assert verdict(evidence, after_noon(30), timedelta(seconds=30), MAXIMUM).status == "completed"
    assert verdict(evidence, after_noon(30), timedelta(seconds=31), MAXIMUM).status == "cancelled"
    assert verdict(evidence, NOON, timedelta(0), MAXIMUM).reason == "billable"


def test_a_maximum_below_the_minimum_can_never_be_billable() -> None:
    evidence = Evidence(accepted=True, started_at=NOON, presence=presence(*BOTH))
    judged = verdict(evidence, after_noon(9000), timedelta(minutes=10), timedelta(minutes=5))
    assert (judged.reason, judged.ended_at) == (EndReason.TOO_SHORT, after_noon(300))


def test_a_client_has_no_clock_to_hand_in() -> None:
    """Every instant of the verdict is one of the evidence, now, or start + maximum."""
    evidence = Evidence(accepted=True, started_at=None, presence=presence(*came(customer=1, mechanic=2)))
    judged = verdict(evidence, after_noon(3), MINIMUM, MAXIMUM)
    assert (judged.started_at, judged.ended_at) == (after_noon(2), after_noon(3))


@given(judgements())
def test_the_end_is_never_in_the_future_nor_past_the_maximum(
    judgement: tuple[Evidence, datetime, timedelta, timedelta, Verdict],
) -> None:
    _, now, _, maximum, judged = judgement
    assert judged.ended_at <= now
    if judged.started_at is not None:
        assert judged.started_at <= judged.ended_at <= judged.started_at + maximum


@given(judgements())
def test_completed_if_and_only_if_it_started_and_lasted_long_enough(
    judgement: tuple[Evidence, datetime, timedelta, timedelta, Verdict],
) -> None:
    _, _, minimum, _, judged = judgement
    lasted = judged.started_at is not None and judged.ended_at - judged.started_at >= minimum
    assert (judged.status is SessionStatus.COMPLETED) is lasted
    assert (judged.reason is EndReason.BILLABLE) is lasted


@given(judgements())
def test_every_reason_fits_what_happened(
    judgement: tuple[Evidence, datetime, timedelta, timedelta, Verdict],
) -> None:
    evidence, now, _, _, judged = judgement
    started = judged.started_at is not None
    assert (judged.reason is EndReason.WITHDRAWN) is not evidence.accepted
    assert (judged.reason is EndReason.NO_SHOW) is (evidence.accepted and not started)
    assert (judged.absent is not None) is (judged.reason is EndReason.NO_SHOW)
    assert started or judged.ended_at == now


@given(judgements(), st.integers(0, 100_000))
def test_asking_later_never_shortens_a_session(
    judgement: tuple[Evidence, datetime, timedelta, timedelta, Verdict], seconds: int
) -> None:
    evidence, now, minimum, maximum, judged = judgement
    later = verdict(evidence, now + timedelta(seconds=seconds), minimum, maximum)
    assert later.started_at == judged.started_at
    assert later.ended_at >= judged.ended_at
