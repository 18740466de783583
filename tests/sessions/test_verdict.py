"""The schema's `judge()` agrees with `domain.ending`, on the policy and on any evidence."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from psycopg.rows import dict_row

from autodoctor.domain.ending import Evidence, Verdict, verdict
from autodoctor.domain.lifecycle import EndReason, SessionStatus
from autodoctor.ids import new_id
from support.verdicts import MAXIMUM, MINIMUM, POLICY, Case, after_noon, judgements, presence
from support.world import World

# The audit tables have no foreign keys; of the intake only the plan's longest duration counts.
EVIDENCE = """
INSERT INTO session_events (session_id, type, role, mechanic_id, occurred_at)
SELECT %(session)s, e.kind, e.role, CASE e.role WHEN 'mechanic' THEN %(mechanic)s::uuid END, e.at
  FROM unnest(%(kinds)s::text[], %(roles)s::text[], %(ats)s::timestamptz[]) AS e (kind, role, at)
"""
INTAKE = """
INSERT INTO intakes
SELECT (jsonb_populate_record(i, jsonb_build_object('id', %(session)s, 'max_minutes', %(minutes)s))).*
  FROM intakes i LIMIT 1
"""
THRESHOLD = "INSERT INTO settings (key, value) VALUES ('min_billable_seconds', %s)"
JUDGED = """
SELECT * FROM judge(jsonb_populate_record(NULL::sessions, jsonb_build_object(
  'id', %(session)s, 'mechanic_id', %(holder)s::uuid, 'started_at', %(started_at)s::timestamptz)), %(now)s)
"""


@pytest.fixture
def judge(world: World) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """A superuser whom no trigger holds up, on a database with one intake to copy."""
    world.queued()
    with psycopg.connect(world.urls.superuser_url, row_factory=dict_row) as superuser:
        superuser.execute("SET session_replication_role = replica")
        superuser.commit()
        yield superuser


def judged(
    judge: psycopg.Connection[dict[str, Any]], evidence: Evidence, now: datetime, minimum: timedelta, maximum: timedelta
) -> Verdict:
    """The schema's verdict on this evidence, which is removed afterwards."""
    mechanic = new_id()
    session = {
        "session": new_id(),
        "mechanic": mechanic,
        "holder": mechanic if evidence.accepted else None,
        "kinds": [each.kind for each in evidence.presence],
        "roles": [each.role for each in evidence.presence],
        "ats": [each.at for each in evidence.presence],
        "started_at": evidence.started_at,
        "minutes": maximum // timedelta(minutes=1),
        "now": now,
    }
    with judge.transaction(force_rollback=True):
        judge.execute(INTAKE, session)
        judge.execute(EVIDENCE, session)
        judge.execute(THRESHOLD, [str(minimum // timedelta(seconds=1))])
        (row,) = judge.execute(JUDGED, session).fetchall()
    return Verdict(
        SessionStatus(row["status"]), EndReason(row["reason"]), row["started_at"], row["ended_at"], row["absent"]
    )


@pytest.mark.parametrize("case", POLICY, ids=lambda case: case.policy)
def test_the_policy(judge: psycopg.Connection[dict[str, Any]], case: Case) -> None:
    recorded = None if case.recorded_start is None else after_noon(case.recorded_start)
    evidence, now = Evidence(case.accepted, recorded, presence(*case.events)), after_noon(case.now)
    assert judged(judge, evidence, now, MINIMUM, MAXIMUM) == verdict(evidence, now, MINIMUM, MAXIMUM)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # each example rolls back what it did
@given(judgement=judgements())
def test_any_evidence(
    judge: psycopg.Connection[dict[str, Any]],
    judgement: tuple[Evidence, datetime, timedelta, timedelta, Verdict],
) -> None:
    evidence, now, minimum, maximum, expected = judgement
    assert judged(judge, evidence, now, minimum, maximum) == expected
