"""The sweep of evidence: makes it of the record, has Stripe keep it, and sends it once somebody said so.

An attempt looks at the dispute first. Staging overwrites what Stripe has, so it may be done again at any time; what was
submitted is counted by Stripe, so an attempt whose outcome was not known finds its own work.
"""

import io
from typing import TYPE_CHECKING, Any, Final, LiteralString

import psycopg
from psycopg.types.json import Jsonb

from autodoctor.db import Database, Row
from autodoctor.deadline import SecondsLeft
from autodoctor.disputes.papers import FIELDS, papers_of, transcript, transcript_paper
from autodoctor.disputes.record import record_of
from autodoctor.disputes.texts import MOST_CHARACTERS, gaps_of, texts_of
from autodoctor.payments.losses.disputes import ANSWERABLE
from autodoctor.payments.stripe import lease
from autodoctor.payments.stripe.calls import StripeRefused, call_stripe
from autodoctor.payments.stripe.lease import AttemptOutcome, JobKind, LostLease, NotYet, Sent

if TYPE_CHECKING:
    import stripe

TEXT_FIELDS: Final = (
    *("access_activity_log", "customer_email_address", "customer_name", "product_description"),
    *("refund_policy_disclosure", "refund_refusal_explanation", "service_date", "uncategorized_text"),
)
"""Stripe's text fields that we fill; the schema has the same list."""

_OPEN: Final[LiteralString] = """
INSERT INTO dispute_evidence (dispute_id, checkout_id)
SELECT d.id, c.id FROM stripe_disputes d JOIN checkouts c ON c.stripe_payment_intent_id = d.payment_intent_id
 WHERE d.status IN ('needs_response', 'warning_needs_response')
   AND NOT EXISTS (SELECT FROM dispute_evidence e WHERE e.dispute_id = d.id)
ON CONFLICT DO NOTHING
"""
_LET_GO: Final[LiteralString] = """
UPDATE dispute_evidence e SET sends = true, state = 'due', attempts = 0, next_attempt_at = clock_timestamp()
 WHERE e.state = 'staged' AND goes_by_itself(e)
"""
_OVER: Final[LiteralString] = """
UPDATE dispute_evidence e SET state = 'closed', next_attempt_at = NULL, waits_for = NULL,
       closed_because = CASE WHEN d.status IN ('under_review', 'warning_under_review') THEN 'elsewhere' ELSE 'over' END
  FROM stripe_disputes d
 WHERE d.id = e.dispute_id AND e.state IN ('due', 'staged', 'failed')
   AND d.status NOT IN ('needs_response', 'warning_needs_response')
"""
_FORGET: Final[LiteralString] = """
WITH old AS MATERIALIZED (
  SELECT e.id FROM dispute_evidence e JOIN stripe_disputes d ON d.id = e.dispute_id
   WHERE e.state IN ('sent', 'closed') AND e.texts <> '{}'
     AND d.status NOT IN ('needs_response', 'under_review', 'warning_needs_response', 'warning_under_review')
     AND d.updated_at < clock_timestamp() - make_interval(days => number_setting('retain_files_days', 90))
), papers AS (
  DELETE FROM dispute_documents p USING old WHERE p.evidence_id = old.id
)
UPDATE dispute_evidence e SET texts = '{}' FROM old WHERE e.id = old.id
"""

_READ: Final[LiteralString] = """
SELECT e.dispute_id, e.prepared_at, e.texts, e.version, e.sends FROM dispute_evidence e WHERE e.id = %(id)s
"""
_PREPARED: Final[LiteralString] = """
UPDATE dispute_evidence SET prepared_at = clock_timestamp(), texts = %(texts)s, gaps = %(gaps)s, proves = %(proves)s,
       version = version + 1
 WHERE id = %(id)s AND state = 'sending' AND lease_id = %(lease_id)s AND prepared_at IS NULL
RETURNING version
"""
_WITHOUT_PAPERS: Final[LiteralString] = "DELETE FROM dispute_documents WHERE evidence_id = %(id)s"
_PAPER: Final[LiteralString] = """
INSERT INTO dispute_documents (evidence_id, field, content) VALUES (%(id)s, %(field)s, %(content)s)
"""
_PAPERS: Final[LiteralString] = """
SELECT field, content, stripe_file_id, encode(sha256(content), 'hex') AS digest FROM dispute_documents
 WHERE evidence_id = %(id)s ORDER BY field
"""
_UPLOADED: Final[LiteralString] = """
UPDATE dispute_documents SET stripe_file_id = %(file_id)s WHERE evidence_id = %(id)s AND field = %(field)s
"""
_SEEN: Final[LiteralString] = """
UPDATE dispute_evidence SET due_by = to_timestamp(%(due_by)s), submission_count = %(submissions)s
 WHERE id = %(id)s AND state = 'sending' AND lease_id = %(lease_id)s
"""
_DONE: Final[LiteralString] = """
UPDATE dispute_evidence
   SET state = CASE WHEN sends THEN 'sent' ELSE 'staged' END, staged_version = version, staged_at = clock_timestamp(),
       sent_at = CASE WHEN sends THEN clock_timestamp() END, submission_count = %(submissions)s,
       next_attempt_at = NULL, waits_for = NULL, last_error = NULL, idempotency_key = NULL, keyed_at = NULL
 WHERE id = %(id)s AND state = 'sending' AND lease_id = %(lease_id)s
"""
_CLOSED: Final[LiteralString] = """
UPDATE dispute_evidence SET state = 'closed', closed_because = %(why)s, next_attempt_at = NULL, waits_for = NULL,
       idempotency_key = NULL, keyed_at = NULL
 WHERE id = %(id)s AND state = 'sending' AND lease_id = %(lease_id)s
"""


def sweep_evidence(database: Database, client: "stripe.StripeClient", seconds_left: SecondsLeft) -> Sent:
    """Stage the evidence of new disputes, and send what is to be sent, until none is left or time runs short.

    Args:
        client: of Stripe.

    Returns:
        sent: how many Stripe has taken, staged or sent.
    """
    for statement in (_OPEN, _OVER, _LET_GO, _FORGET):
        database.execute(statement, ())
    return lease.sweep_jobs(database, client, seconds_left, _EVIDENCE)


def _attempt(database: Database, client: "stripe.StripeClient", evidence: Row) -> AttemptOutcome | NotYet:
    try:
        dispute = call_stripe(lambda: client.v1.disputes.retrieve(evidence["dispute_id"]))
        if (ended := _ended(database, evidence, dispute)) is not None:
            return ended
        if given_up := lease.after_the_last(evidence):
            return given_up
        if evidence["prepared_at"] is None:
            evidence = _prepare(database, evidence)
        answered = _put(database, client, evidence, _upload(database, client, evidence))
    except StripeRefused as refused:
        return NotYet("retry", refused.reason)
    return _done(database, evidence, answered)


def _ended(database: Database, evidence: Row, dispute: "stripe.Dispute") -> AttemptOutcome | None:
    """What became of it, where there is nothing to do any more; else None, and what Stripe says is noted."""
    details = dispute.evidence_details
    seen = {**evidence, "due_by": details.due_by or None, "submissions": details.submission_count}
    if database.execute(_SEEN, seen) == 0:
        raise LostLease
    if details.submission_count and evidence["sends"] and evidence["asked_before"]:
        return _done(database, evidence, dispute)
    if details.submission_count:
        return _close(database, evidence, "elsewhere")
    if dispute.status not in ANSWERABLE:
        return _close(database, evidence, "over")
    return None if details.due_by else _close(database, evidence, "no_answer")


def _prepare(database: Database, evidence: Row) -> Row:
    """Make the evidence of the record, and store it as it will be shown and sent.

    Raises:
        LostLease: another attempt holds the job, or the customer's data was erased meanwhile.
    """
    record = record_of(database, evidence["id"])
    papers, said = papers_of(database, record), transcript(database, record)
    texts = texts_of(record)
    paper = transcript_paper(said) if said else None
    if paper is not None:
        papers["customer_communication"] = paper
    elif said:
        rest = "\n".join([texts["uncategorized_text"], "", *said])
        texts["uncategorized_text"] = rest[:MOST_CHARACTERS]
    gaps = gaps_of(record, papers, other_letters=bool(said) and paper is None)
    values = {**evidence, "texts": Jsonb(texts), "gaps": list(gaps), "proves": record.proves}

    def store(connection: psycopg.Connection[Row]) -> Row:
        stored = connection.execute(_PREPARED, values).fetchone()
        if stored is None:
            raise LostLease
        connection.execute(_WITHOUT_PAPERS, values)
        for field, content in papers.items():
            connection.execute(_PAPER, {**values, "field": field, "content": content})
        return {**evidence, "texts": texts, "version": stored["version"]}

    return database.transaction(store)


def _upload(database: Database, client: "stripe.StripeClient", evidence: Row) -> dict[str, str]:
    """Upload the documents that Stripe does not have; the ids of all by field."""
    found: dict[str, str] = {}
    for paper in database.all(_PAPERS, evidence):
        found[paper["field"]] = paper["stripe_file_id"] or _uploaded(database, client, evidence, paper)
    return found


def _uploaded(database: Database, client: "stripe.StripeClient", evidence: Row, paper: Row) -> str:
    file = io.BytesIO(paper["content"])
    file.name = f"{paper['field'].replace('_', '-')}.pdf"
    key = f"evidence:{evidence['id']}:{paper['field']}:{paper['digest']}"
    options: stripe.RequestOptions = {"idempotency_key": key}
    made = call_stripe(
        lambda: client.v1.files.create(params={"purpose": "dispute_evidence", "file": file}, options=options)
    )
    database.execute(_UPLOADED, {**evidence, "field": paper["field"], "file_id": made.id})
    return made.id


def _put(database: Database, client: "stripe.StripeClient", evidence: Row, files: dict[str, str]) -> "stripe.Dispute":
    """Have Stripe keep exactly this, and submit it if it is to be sent. An empty text takes away what was there."""
    fields: Any = {name: evidence["texts"].get(name, "") for name in TEXT_FIELDS}
    fields |= {name: files.get(name, "") for name in FIELDS}
    options: stripe.RequestOptions = {}
    if evidence["sends"]:
        options = {"idempotency_key": lease.intend(database, evidence, None)["idempotency_key"]}
    return call_stripe(
        lambda: client.v1.disputes.update(
            evidence["dispute_id"], params={"evidence": fields, "submit": evidence["sends"]}, options=options
        )
    )


def _done(database: Database, evidence: Row, dispute: "stripe.Dispute") -> AttemptOutcome:
    values = {**evidence, "submissions": dispute.evidence_details.submission_count}
    return "sent" if database.execute(_DONE, values) else "lost_lease"


def _close(database: Database, evidence: Row, why: str) -> AttemptOutcome:
    return "sent" if database.execute(_CLOSED, {**evidence, "why": why}) else "lost_lease"


def _give_up(connection: psycopg.Connection[Row], evidence: Row, reason: str) -> AttemptOutcome:
    return lease.give_up(connection, evidence, reason)


_EVIDENCE: Final = JobKind("evidence", _READ, _attempt, _give_up)
