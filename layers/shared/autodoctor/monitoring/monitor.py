"""The monitor: keeps the table of alerts equal to the current problems, and notifies of each when it opens and clears.

The statement that sees a change stores the notification that is due; it is then claimed, published, and marked as sent.
If a run dies in between, the next one takes over once the claim has lapsed. So every alert is notified at least once,
and twice only when a run died, or was too slow, between SNS's answer and the mark. Messages name the alerts' ids, so
that a reader can recognise a repeated one.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Final, LiteralString

from autodoctor.db import Database, Row
from autodoctor.deadline import SecondsLeft
from autodoctor.monitoring.dashboard import SessionHealth
from autodoctor.web.schemas import ResponseModel, Utc

CLAIM_SECONDS: Final = 55
"""Longer than a run of the function lasts."""
MOST_AT_ONCE: Final = 100
"""Alerts claimed together; those of one kind share a message, which SNS limits to 256 KB."""
MARGIN_SECONDS: Final = 10.0

type Publish = Callable[[str, str, Mapping[str, str]], None]

_OBSERVE: Final[LiteralString] = """
WITH wrong AS MATERIALIZED (
  SELECT r.alert, r.session_id::text AS subject, r.severity, r.since, r.facts FROM sessions_needing_review r
  UNION ALL
  SELECT p.alert, coalesce(p.mechanic_id::text, 'all'), p.severity, now(),
         jsonb_build_object('percent', p.percent, 'limit', p.passed, 'sessions', p.sessions)
    FROM health_limits_passed() AS p
  UNION ALL
  SELECT g.alert, g.subject, g.severity, g.since, g.facts FROM alert_money g
  UNION ALL
  SELECT 'mechanic_paused', p.mechanic_id::text, 'warning', p.since, jsonb_build_object('releases', p.releases)
    FROM paused_mechanics p
), stored AS (
  INSERT INTO health_alerts AS h (alert, subject, severity, since, facts)
  SELECT w.alert, w.subject, w.severity, w.since, w.facts FROM wrong w
  ON CONFLICT (alert, subject) WHERE cleared_at IS NULL
  DO UPDATE SET severity = excluded.severity, facts = excluded.facts
   WHERE (h.severity, h.facts) IS DISTINCT FROM (excluded.severity, excluded.facts)
  RETURNING h.opened_notified_at IS NULL AND h.opened_at >= statement_timestamp() AS opened
), cleared AS (
  UPDATE health_alerts h SET cleared_at = clock_timestamp()
   WHERE h.cleared_at IS NULL
     AND NOT EXISTS (SELECT FROM wrong w WHERE w.alert = h.alert AND w.subject = h.subject)
  RETURNING h.id
)
SELECT (SELECT count(*) FROM wrong WHERE severity = 'critical') AS critical,
       (SELECT count(*) FROM wrong WHERE severity = 'warning') AS warning,
       (SELECT count(*) FROM stored WHERE opened) AS opened, (SELECT count(*) FROM cleared) AS cleared
"""

_CLAIM: Final[LiteralString] = """
WITH due AS MATERIALIZED (
  SELECT h.id FROM health_alerts h
   WHERE (h.opened_notified_at IS NULL OR (h.cleared_at IS NOT NULL AND h.cleared_notified_at IS NULL))
     AND coalesce(h.claimed_until, '-infinity') < clock_timestamp()
   ORDER BY h.id LIMIT %(most)s
     FOR UPDATE SKIP LOCKED
)
UPDATE health_alerts h SET claimed_until = clock_timestamp() + %(seconds)s * interval '1 second'
  FROM due WHERE h.id = due.id
RETURNING h.id, h.alert, h.subject, h.severity, h.since, h.facts, h.opened_at, h.claimed_until,
          CASE WHEN h.opened_notified_at IS NULL THEN NULL ELSE h.cleared_at END AS cleared_at,
          CASE WHEN h.opened_notified_at IS NULL THEN 'opened' ELSE 'cleared' END AS change
"""

# Only under one's own claim: a run that was too slow has lost it, and its data is stale.
_MARK_NOTIFIED: Final[dict[str, LiteralString]] = {
    "opened": """
UPDATE health_alerts h SET opened_notified_at = clock_timestamp(), claimed_until = NULL
  FROM unnest(%(ids)s::uuid[], %(claims)s::timestamptz[]) AS mine (id, claimed_until)
 WHERE h.id = mine.id AND h.claimed_until = mine.claimed_until AND h.opened_notified_at IS NULL
""",
    "cleared": """
UPDATE health_alerts h SET cleared_notified_at = clock_timestamp(), claimed_until = NULL
  FROM unnest(%(ids)s::uuid[], %(claims)s::timestamptz[]) AS mine (id, claimed_until)
 WHERE h.id = mine.id AND h.claimed_until = mine.claimed_until AND h.cleared_notified_at IS NULL
""",
}


class Observed(ResponseModel):
    """What is wrong now, and what has changed since the last run."""

    critical: int
    warning: int
    opened: int
    cleared: int


def observe(database: Database) -> Observed:
    """Store alerts that opened or cleared; nothing is published yet."""
    return Observed(**database.only(_OBSERVE, ()))


def measurements(page: SessionHealth) -> dict[str, float]:
    """The metrics of the last 24 hours and of this minute; a percentage without sessions is left out."""
    oldest = page.now.oldest_waiting
    found = {
        "HealthScore": page.score.value,
        "CompletionPercent": page.score.completion_percent,
        "NoShowPercent": page.score.no_show_percent,
        "SessionsWaiting": page.now.waiting + page.now.offered,
        "OldestWaitingSeconds": oldest.seconds if oldest else 0,
        "SessionsLive": page.now.live,
        "MechanicsAvailable": page.now.mechanics_available,
        "AlertsCritical": page.alerts.critical,
        "AlertsWarning": page.alerts.warning,
        "MoneyStuck": sum(each.count for each in page.money_stuck if each.kind.endswith("failed")),
    }
    return {name: value for name, value in found.items() if value is not None}


def notify(database: Database, publish: Publish, seconds_left: SecondsLeft) -> int:
    """Notify of every alert that opened or cleared and was not reported yet.

    Args:
        publish: sends a subject, a text and attributes to the topic.

    Returns:
        How many notifications there were: an alert that opened and cleared counts twice.

    Raises:
        AwsError: the topic did not take a message; the next run tries again.
    """
    notified = 0
    while seconds_left() > MARGIN_SECONDS:
        rows = database.all(_CLAIM, {"most": MOST_AT_ONCE, "seconds": CLAIM_SECONDS})
        if not rows:
            break
        rows.sort(key=lambda row: (row["change"] == "cleared", row["severity"], row["alert"], row["id"]))
        for (change, _, alert), group in groupby(rows, key=lambda row: (row["change"], row["severity"], row["alert"])):
            notified += _notify_together(database, publish, change, alert, list(group))
    return notified


def _notify_together(database: Database, publish: Publish, change: str, alert: str, rows: Sequence[Row]) -> int:
    severity = rows[0]["severity"]
    publish(*_message(change, alert, severity, rows))
    claims = {"ids": [row["id"] for row in rows], "claims": [row["claimed_until"] for row in rows]}
    return database.execute(_MARK_NOTIFIED[change], claims)


def _message(change: str, alert: str, severity: str, rows: Sequence[Row]) -> tuple[str, str, dict[str, str]]:
    """Subject, text and attributes; the text is JSON that a person can read."""
    count = "" if len(rows) == 1 else f" ({len(rows)})"
    subject = f"AutoDoctor {severity} {'over' if change == 'cleared' else 'alert'}: {alert.replace('_', ' ')}{count}"
    alerts = [
        {
            "alertId": str(row["id"]),
            "subject": row["subject"],
            "since": _wire(row["since"]),
            "openedAt": _wire(row["opened_at"]),
            "clearedAt": _wire(row["cleared_at"]),
            "facts": row["facts"],
        }
        for row in rows
    ]
    body = {"news": change, "alert": alert, "severity": severity, "count": len(rows), "alerts": alerts}
    return subject, json.dumps(body, indent=1), {"news": change, "alert": alert, "severity": severity}


def _wire(at: Utc | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")
