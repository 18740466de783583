"""The verdict as a table that reads like the policy, and properties that hold for any evidence."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodoctor.domain.ending import Evidence, Stretch, first_together, last_together, verdict
from autodoctor.domain.lifecycle import EndReason, SessionStatus
from support.sessions.verdicts import LIMITS, NOON, POLICY, Case, Judgement, after_noon, both, judgements, stretches


@pytest.mark.parametrize("case", POLICY, ids=lambda case: case.policy)
def test_the_policy(case: Case) -> None:
    judged = verdict(case.evidence, after_noon(case.now), LIMITS, by_system=case.by_system)
    assert f"{judged.status} {judged.reason}" == case.outcome
    assert judged.started_at == (None if case.start is None else after_noon(case.start))
    assert judged.ended_at == after_noon(case.end)
    assert judged.together == (None if case.together is None else timedelta(seconds=case.together))
    assert judged.absent == case.absent


def test_the_limits_are_whatever_is_in_force() -> None:
    evidence = POLICY[0].evidence
    half = replace(LIMITS, minimum=timedelta(seconds=30))
    assert verdict(evidence, after_noon(30), half, by_system=False).status == "completed"
    assert verdict(evidence, after_noon(29.9), half).status == "cancelled"
    assert verdict(evidence, after_noon(90), replace(LIMITS, messages_each=2)).together == timedelta()
    assert verdict(evidence, NOON, replace(LIMITS, minimum=timedelta())).reason == EndReason.WITHDRAWN


@pytest.mark.parametrize(
    ("words", "messages_each", "reason"),
    [((1, 1), 2, "too_short"), ((2, 0), 2, "no_talk"), ((0, 0), 0, "no_talk"), ((1, 1), 0, "too_short")],
)
def test_who_wrote_too_little_for_the_room_to_count_has_talked_all_the_same(
    words: tuple[int, int], messages_each: int, reason: str
) -> None:
    """No talk is no word or sound of one side, however many words are asked for."""
    seen = both(0, source="room" if messages_each else "claim")
    evidence = Evidence(NOON, None, stretches(*seen), words)
    assert verdict(evidence, after_noon(90), replace(LIMITS, messages_each=messages_each)).reason == reason


def test_a_maximum_below_the_minimum_can_never_be_billable() -> None:
    limits = replace(LIMITS, minimum=timedelta(minutes=10), maximum=timedelta(minutes=5))
    judged = verdict(POLICY[0].evidence, after_noon(9000), limits)
    assert (judged.reason, judged.ended_at) == (EndReason.TOO_SHORT, after_noon(300))


def test_first_and_last_together() -> None:
    seen = stretches(("customer", "room", 0, 10), ("mechanic", "claim", 5, 8), *both(20, 30))
    assert (first_together(seen, after_noon(100)), last_together(seen, after_noon(100))) == (
        after_noon(5),
        after_noon(30),
    )
    assert last_together(stretches(*both(0)), after_noon(7)) == after_noon(7)
    assert first_together(seen[:1], after_noon(100)) is None


@given(judgements())
def test_the_end_is_never_in_the_future_nor_past_the_maximum(judgement: Judgement) -> None:
    judged = judgement.verdict
    assert judged.ended_at <= judgement.now
    if judged.started_at is not None:
        assert judged.started_at <= judged.ended_at <= judged.started_at + judgement.limits.maximum
        assert judged.together is not None
        assert timedelta() <= judged.together <= judged.ended_at - judged.started_at


@given(judgements())
def test_completed_if_and_only_if_they_were_together_for_long_enough(judgement: Judgement) -> None:
    judged = judgement.verdict
    lasted = judged.together is not None and judged.together >= judgement.limits.minimum
    assert (judged.status is SessionStatus.COMPLETED) is lasted
    assert (judged.reason is EndReason.BILLABLE) is lasted


@given(judgements())
def test_every_reason_fits_what_happened(judgement: Judgement) -> None:
    judged = judgement.verdict
    started = judged.started_at is not None
    assert (judged.reason in {EndReason.BILLABLE, EndReason.TOO_SHORT, EndReason.NO_TALK}) is started
    assert (judged.absent is not None) is (judged.reason is EndReason.NO_SHOW)
    assert started or judged.ended_at == judgement.now


@given(judgements(), st.integers(0, 100_000))
def test_asking_later_never_shortens_what_counts(judgement: Judgement, seconds: int) -> None:
    judged = judgement.verdict
    later = replace(judgement, now=judgement.now + timedelta(seconds=seconds)).verdict
    if judged.started_at is not None:
        assert later.started_at == judged.started_at
        assert (later.together or timedelta()) >= (judged.together or timedelta())


@given(judgements(), st.integers(0, 2000), st.sampled_from(["customer", "mechanic"]))
def test_no_claim_lengthens_what_witnesses_saw(judgement: Judgement, seconds: int, party: str) -> None:
    claimed = Stretch("customer" if party == "customer" else "mechanic", "claim", after_noon(seconds), None)
    before = replace(judgement.evidence, kind="witnessed", started_at=NOON)
    after = replace(before, stretches=(*before.stretches, claimed))
    limits = replace(judgement.limits, maximum=timedelta(days=1))
    one, other = (verdict(each, judgement.now, limits).together for each in (before, after))
    assert one == other
