"""The schema's `judge()` agrees with `domain.ending`, on the policy and on any evidence."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from psycopg.rows import dict_row

from autodoctor.domain.ending import Absent, Evidence, Limits, Verdict, verdict
from autodoctor.domain.lifecycle import EndReason, SessionStatus
from autodoctor.ids import new_id
from support.sessions.verdicts import LIMITS, POLICY, Case, Judgement, after_noon, judgements
from support.world import World

EVIDENCE = """
INSERT INTO session_presence (session_id, role, source, mechanic_id, witness, since, recorded_at, until, closed_at)
SELECT %(session)s, e.role, e.source, CASE e.role WHEN 'mechanic' THEN %(mechanic)s::uuid END,
       CASE WHEN e.source <> 'claim' THEN e.n::text END, e.since, e.since, e.until, e.until
  FROM unnest(%(roles)s::text[], %(sources)s::text[], %(since)s::timestamptz[], %(until)s::timestamptz[])
       WITH ORDINALITY AS e (role, source, since, until, n)
"""
INTAKE = """
INSERT INTO intakes SELECT (jsonb_populate_record(i, jsonb_build_object(
  'id', %(session)s, 'included_minutes', NULL, 'max_minutes', %(minutes)s, 'evidence', %(kind)s::text))).*
  FROM intakes i LIMIT 1
"""
ROOM = """
INSERT INTO rooms (session_id, latest, customer_written, mechanic_written)
VALUES (%(session)s, 100, %(customer_words)s, %(mechanic_words)s)
"""
LIMITS_IN_FORCE = """
INSERT INTO settings (key, value)
VALUES ('min_billable_seconds', %(seconds)s), ('min_messages_each', %(each)s), ('late_minutes', %(late)s)
ON CONFLICT (key) DO UPDATE SET value = excluded.value
"""
JUDGED = """
SELECT * FROM judge(jsonb_populate_record(NULL::sessions, jsonb_build_object(
  'id', %(session)s, 'mechanic_id', %(holder)s::uuid, 'accepted_at', %(accepted_at)s::timestamptz,
  'scheduled_for', %(wanted_at)s::timestamptz, 'started_at', %(started_at)s::timestamptz)), %(now)s, %(by_system)s)
"""


@pytest.fixture
def judge(world: World) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """A superuser whom no trigger holds up, on a database with one intake to copy."""
    world.queued()
    with psycopg.connect(world.urls.superuser_url, row_factory=dict_row) as superuser:
        superuser.execute("SET session_replication_role = replica")
        superuser.execute("DROP INDEX session_presence_open")  # any evidence, also what nobody could write
        superuser.commit()
        yield superuser


def judged(
    judge: psycopg.Connection[dict[str, Any]], evidence: Evidence, now: datetime, limits: Limits, *, by_system: bool
) -> Verdict:
    """The schema's verdict on this evidence, which is removed afterwards."""
    mechanic = new_id()
    session = {
        "session": new_id(),
        "mechanic": mechanic,
        "holder": mechanic if evidence.accepted_at else None,
        "accepted_at": evidence.accepted_at,
        "wanted_at": evidence.wanted_at,
        "roles": [each.role for each in evidence.stretches],
        "sources": [each.source for each in evidence.stretches],
        "since": [each.since for each in evidence.stretches],
        "until": [each.until for each in evidence.stretches],
        "customer_words": evidence.words[0],
        "mechanic_words": evidence.words[1],
        "kind": evidence.kind,
        "started_at": evidence.started_at,
        "minutes": limits.maximum // timedelta(minutes=1),
        "seconds": str(limits.minimum // timedelta(seconds=1)),
        "each": str(limits.messages_each),
        "late": str(limits.late // timedelta(minutes=1)),
        "now": now,
        "by_system": by_system,
    }
    with judge.transaction(force_rollback=True):
        for statement in (INTAKE, ROOM, EVIDENCE, LIMITS_IN_FORCE):
            judge.execute(statement, session)
        (row,) = judge.execute(JUDGED, session).fetchall()
    together = row["together_seconds"]
    return Verdict(
        SessionStatus(row["status"]),
        EndReason(row["reason"]),
        row["started_at"],
        row["ended_at"],
        None if together is None else timedelta(microseconds=int(together * 1_000_000)),
        row["absent"] and Absent(row["absent"]),
    )


@pytest.mark.parametrize("case", POLICY, ids=lambda case: case.policy)
def test_the_policy(judge: psycopg.Connection[dict[str, Any]], case: Case) -> None:
    now = after_noon(case.now)
    expected = verdict(case.evidence, now, LIMITS, by_system=case.by_system)
    assert judged(judge, case.evidence, now, LIMITS, by_system=case.by_system) == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # each example rolls back what it did
@given(judgement=judgements())
def test_any_evidence(judge: psycopg.Connection[dict[str, Any]], judgement: Judgement) -> None:
    found = judged(judge, judgement.evidence, judgement.now, judgement.limits, by_system=judgement.by_system)
    assert found == judgement.verdict
