"""The score of a time, 0 to 100, with the hours it was made of; sql/operations/0018_dashboard.sql has the formula."""

from typing import Final, Literal, LiteralString

from autodoctor.db import Database, Row
from autodoctor.monitoring.window import Window, counted
from autodoctor.web.schemas import ResponseModel, Utc

type Status = Literal["excellent", "good", "fair", "poor", "critical", "no_data"]

FORMULA: Final = (
    "100, less a point for each per cent of completion below its limit (40 at most), less a point for each per cent "
    "of no-shows above theirs (30 at most), less a point for each per cent of the sessions with an alert (30 at most). "
    "95 and more is excellent, 85 good, 70 fair, 50 poor, less is critical."
)

_SCORE: Final[LiteralString] = """
WITH hours AS MATERIALIZED (
  SELECT * FROM calculate_session_health_score(%(since)s, %(until)s)
), alive AS (
  -- what is open has no history: it counts where the time reaches into the present
  SELECT count(*) AS sessions,
         (SELECT count(*) FROM alert_stuck_live) + (SELECT count(*) FROM alert_waiting_too_long) AS alerts
    FROM sessions s WHERE s.ended_at IS NULL AND %(until)s > now() - interval '1 minute'
), counted AS (
  SELECT sum(h.created)::bigint AS created, sum(h.ended)::bigint AS ended, sum(h.completed)::bigint AS completed,
         sum(h.cancelled)::bigint AS cancelled, sum(h.expired)::bigint AS expired,
         sum(h.accepted)::bigint AS accepted, sum(h.no_shows)::bigint AS no_shows,
         sum(h.wrongly_marked)::bigint AS wrongly_marked, sum(h.unsettled)::bigint AS unsettled,
         sum(h.average_seconds * h.completed) / nullif(sum(h.completed), 0) AS average_seconds
    FROM hours h
), measured AS (
  SELECT c.*, percentage(c.completed, c.ended) AS completion_percent,
         percentage(c.no_shows, c.accepted) AS no_show_percent,
         c.wrongly_marked + c.unsettled + CASE WHEN a.sessions > 0 THEN a.alerts ELSE 0 END AS alerts,
         c.ended + a.sessions AS sessions
    FROM counted c CROSS JOIN alive a
), scored AS (
  SELECT m.*, health_score(m.completion_percent, m.no_show_percent, m.alerts, m.sessions) AS score FROM measured m
)
SELECT s.*, health_status(s.score) AS status, now() AS as_of,
       (SELECT jsonb_agg(h ORDER BY h.period_start) FROM hours h) AS hours,
       (SELECT coalesce(jsonb_object_agg(substring(t.key FROM 8), t.value::integer), '{}')
          FROM settings t WHERE t.key LIKE 'health\\_%%') AS limits
  FROM scored s
"""


class Hour(ResponseModel):
    """One hour (UTC): what was created in it, how those ended whose end was decided in it, and its score."""

    period_start: Utc
    created: int
    ended: int
    completed: int
    cancelled: int
    expired: int
    accepted: int
    no_shows: int
    wrongly_marked: int
    unsettled: int
    average_seconds: int | None
    completion_percent: float | None
    no_show_percent: float | None
    score: float | None
    status: Status


class Score(ResponseModel):
    """The score, with what it was made of.

    Attributes:
        value: 0 to 100; None: no session to judge by.
        sessions: those that ended in this time and, where it reaches into the present, those that are active.
        sessions_with_alert: how many of them have one.
    """

    value: float | None
    status: Status
    formula: str = FORMULA
    sessions: int
    sessions_with_alert: int
    completion_percent: float | None
    no_show_percent: float | None


def score(database: Database, window: Window) -> Row:
    """The counts of a window, its score and its `hours`, the `limits` of the settings, and the instant `as_of`.

    Raises:
        Unprocessable: the window holds more than can be counted in time.
    """
    (row,) = counted(database, _SCORE, {"since": window.since, "until": window.until})
    return row
