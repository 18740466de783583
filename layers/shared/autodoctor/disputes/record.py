"""What our record has about a disputed payment: what was bought, what came of it, who saw it, what went back."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from autodoctor.db import Database, Row

MOST_LOG_LINES: Final = 150
"""Of a log, so that it stays within the characters that Stripe takes in a field."""

_PAYMENT: Final[LiteralString] = """
SELECT c.kind, c.user_id, c.title, c.amount_cents, c.created_at AS bought_at, c.credits, c.status,
       x.id AS extension_id, x.minutes AS more_minutes,
       (SELECT t.outcome FROM extension_settlements t WHERE t.extension_id = x.id) AS extension_outcome,
       coalesce(c.email, cu.email) AS email, coalesce(i.customer_name, cu.name) AS customer_name, cu.erased_at,
       i.session_type, s.id AS session_id, s.status AS session_status, s.end_reason, s.started_at, s.ended_at,
       floor(s.together_seconds)::integer AS together_seconds,
       coalesce(s.min_billable_seconds, min_billable_seconds()) AS min_billable_seconds,
       extract(epoch FROM contest_time())::integer / 3600 AS contest_hours,
       w.signed_name, w.version AS waiver_version, w.signed_at, m.name AS mechanic_name,
       (SELECT n.text FROM session_notes n WHERE n.session_id = s.id AND n.mechanic_id = s.mechanic_id) AS notes,
       (SELECT r.id FROM receipts r WHERE r.checkout_id = c.id AND r.kind = 'receipt' AND r.currency = 'usd'
         ORDER BY r.id LIMIT 1) AS receipt_id,
       (SELECT k.contested_at FROM contests k WHERE k.session_id = s.id) AS contested_at,
       (SELECT k.outcome FROM contests k WHERE k.session_id = s.id) AS contest_outcome
  FROM dispute_evidence e
  JOIN checkouts c ON c.id = e.checkout_id
  LEFT JOIN customers cu ON cu.user_id = c.user_id
  LEFT JOIN session_extensions x ON x.intake_id = c.intake_id
  LEFT JOIN intakes i ON i.id = coalesce(x.session_id, c.intake_id)
  LEFT JOIN sessions s ON s.id = i.id
  LEFT JOIN waivers w ON w.session_id = s.id
  LEFT JOIN mechanics m ON m.id = s.mechanic_id
 WHERE e.id = %(evidence_id)s
"""
# What parties say of themselves is no evidence.
_LOG: Final[LiteralString] = """
SELECT e.occurred_at AS at, NULL::timestamptz AS until, NULL AS role, e.to_status AS what FROM session_events e
 WHERE e.session_id = %(session_id)s
UNION ALL
SELECT w.signed_at, NULL, 'customer', 'signed' FROM waivers w WHERE w.session_id = %(session_id)s
UNION ALL
SELECT p.since, p.until, p.role, p.source FROM session_presence p
 WHERE p.session_id = %(session_id)s AND p.source <> 'claim' AND p.replaced_at IS NULL
UNION ALL
SELECT e.at, NULL, e.role, e.what || ':' || x.minutes FROM session_extensions x
 CROSS JOIN LATERAL (VALUES (x.asked_at, 'customer', 'asked'), (x.answered_at, 'mechanic', 'agreed'),
                            (x.began_at, NULL, 'extended')) AS e (at, role, what)
 WHERE x.session_id = %(session_id)s AND x.status = 'running'
UNION ALL
SELECT min(x.at), max(x.at), x.role, 'wrote:' || count(*) FROM session_messages x
 WHERE x.session_id = %(session_id)s AND x.role <> 'system' GROUP BY x.role
 ORDER BY at, what LIMIT %(most)s
"""
_USES: Final[LiteralString] = """
SELECT t.created_at AS at, s.ended_at AS until, s.status AS role, 'spent:' || t.amount AS what
  FROM ledger_transfer t LEFT JOIN session_extensions x ON x.intake_id = t.intake_id
  JOIN sessions s ON s.id = coalesce(x.session_id, t.intake_id)
 WHERE t.kind = 'credit_hold' AND t.debit_account = 'customer:' || %(user_id)s::uuid || ':credits'
   AND t.created_at >= %(bought_at)s
 ORDER BY t.id LIMIT %(most)s
"""
_BACK: Final[LiteralString] = """
SELECT r.number, r.issued_at, r.amount AS cents FROM receipts r JOIN receipts o ON o.id = r.corrects_id
 WHERE o.id = %(receipt_id)s AND r.kind = 'credit_note' AND r.currency = 'usd' AND r.cause <> 'dispute' ORDER BY r.id
"""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Something that the system recorded by itself.

    Attributes:
        until: the end of a stretch; None for an instant, and for a stretch that lasts.
        role: customer or mechanic; None: the session itself. Of spent credits: how their session ended.
        what: a status of the session, `signed`, a witness, `wrote:NUMBER` messages, `spent:NUMBER` credits, or minutes
            more: `asked:NUMBER`, `agreed:NUMBER`, `extended:NUMBER`.
    """

    at: datetime
    until: datetime | None
    role: str | None
    what: str


@dataclass(frozen=True, slots=True)
class MoneyBack:
    """A credit note: what went back before the dispute."""

    number: str
    issued_at: datetime
    cents: int


@dataclass(frozen=True, slots=True)
class PaymentRecord:
    """All of it.

    Attributes:
        row: of the payment, its session, waiver and customer.
        log: oldest first.
        back: oldest first.
    """

    row: Row
    log: tuple[Recorded, ...]
    back: tuple[MoneyBack, ...]

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 (a column)
        return self.row[name]

    @property
    def session_id(self) -> UUID | None:
        """The session that was paid for, if there is one."""
        found: UUID | None = self.row["session_id"]
        return found

    @property
    def is_erased(self) -> bool:
        """Whether the customer's data was erased on request."""
        return self.row["erased_at"] is not None

    @property
    def proves(self) -> bool:
        """Whether it shows that what was paid for was given: a session, minutes that were used, spent credits."""
        if self.row["extension_id"] is not None:
            return bool(self.row["extension_outcome"] == "pay")
        if self.row["kind"] == "pack":
            return any(line.role == "completed" for line in self.log)
        return bool(self.row["session_status"] == "completed")


def record_of(database: Database, evidence_id: UUID) -> PaymentRecord:
    """What we have about the payment that an evidence is about.

    Raises:
        RuntimeError: there is no such evidence.
    """
    row = database.one(_PAYMENT, {"evidence_id": evidence_id})
    if row is None:
        raise RuntimeError(f"evidence {evidence_id} is gone")
    values = {**row, "most": MOST_LOG_LINES}
    log: list[Row] = []
    if row["session_id"] is not None:
        log = database.all(_LOG, values)
    elif row["kind"] == "pack":
        log = database.all(_USES, values)
    back = database.all(_BACK, values)
    return PaymentRecord(row, tuple(Recorded(**line) for line in log), tuple(MoneyBack(**line) for line in back))
