"""Current alerts: the sessions of the four alert views, and the percentages beyond their limits."""

from typing import Final, Literal, LiteralString, get_args
from uuid import UUID

from autodoctor.db import Database
from autodoctor.web.schemas import ResponseModel, Utc

type SessionAlert = Literal["wrongly_marked", "stuck_live", "completed_without_settlement", "waiting_too_long"]
type LimitAlert = Literal["completion_low", "no_show_high", "mechanic_completion_low", "mechanic_no_show_high"]
type Severity = Literal["critical", "warning"]

SESSION_ALERTS: Final[tuple[SessionAlert, ...]] = get_args(SessionAlert.__value__)
SHOWN: Final = 20
"""Session ids that an alert of the dashboard names; its list has them all."""

_SESSIONS: Final[LiteralString] = """
SELECT r.alert, r.severity, count(*) AS count, min(r.since) AS oldest_since,
       (array_agg(r.session_id ORDER BY r.since, r.session_id))[:%(shown)s] AS session_ids
  FROM sessions_needing_review r
 GROUP BY r.alert, r.severity ORDER BY r.severity, min(r.since)
"""

_LIMITS: Final[LiteralString] = """
SELECT p.alert, p.severity, p.mechanic_id, m.name AS mechanic_name, p.percent, p.passed AS "limit", p.sessions
  FROM health_limits_passed() AS p LEFT JOIN mechanics m ON m.id = p.mechanic_id
 ORDER BY p.severity, p.alert, p.percent LIMIT 100
"""


_LATEST: Final[LiteralString] = """
SELECT h.alert, h.subject, h.severity, h.since, h.opened_at, h.cleared_at, h.opened_notified_at AS opened_told_at,
       h.cleared_notified_at AS cleared_told_at
  FROM health_alerts h ORDER BY h.id DESC LIMIT %(limit)s
"""


class SessionsAlert(ResponseModel):
    """Sessions with the same trouble, oldest first; `list` is the route that lists them all."""

    alert: SessionAlert
    severity: Severity
    count: int
    oldest_since: Utc
    session_ids: list[UUID]
    list: str


class LimitPassed(ResponseModel):
    """A percentage of the last 24 hours beyond its limit, over all sessions or one mechanic's."""

    alert: LimitAlert
    severity: Severity
    mechanic_id: UUID | None
    mechanic_name: str | None
    percent: float
    limit: int
    sessions: int


class PastAlert(ResponseModel):
    """One stored alert, and when it was notified."""

    alert: str
    subject: str
    severity: str
    since: Utc
    opened_at: Utc
    cleared_at: Utc | None
    opened_told_at: Utc | None
    cleared_told_at: Utc | None


class Alerts(ResponseModel):
    """Current alerts, critical first, and the newest stored ones."""

    critical: int
    warning: int
    sessions: list[SessionsAlert]
    limits: list[LimitPassed]
    latest: list[PastAlert]


def alerts(database: Database) -> Alerts:
    """Current alerts; they do not depend on the period of a report."""
    sessions = [
        SessionsAlert(**row, list=f"/api/admin/sessions?alert={row['alert']}")
        for row in database.all(_SESSIONS, {"shown": SHOWN})
    ]
    limits = [LimitPassed(**row) for row in database.all(_LIMITS, ())]
    return Alerts(
        critical=_of(sessions, limits, "critical"),
        warning=_of(sessions, limits, "warning"),
        latest=latest(database),
        sessions=sessions,
        limits=limits,
    )


def _of(sessions: list[SessionsAlert], limits: list[LimitPassed], severity: Severity) -> int:
    return sum(each.count for each in sessions if each.severity == severity) + sum(
        each.severity == severity for each in limits
    )


def latest(database: Database, limit: int = SHOWN) -> list[PastAlert]:
    """The newest alerts, open or not."""
    return [PastAlert(**row) for row in database.all(_LATEST, {"limit": limit})]
