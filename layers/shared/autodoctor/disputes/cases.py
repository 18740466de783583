"""GET /api/admin/disputes/{evidenceId}, POST .../evidence: an admin reads what answers a dispute, and sends it."""

from typing import Annotated, Any, Final, Literal, LiteralString
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import Field, StringConstraints

from autodoctor.admin.changes import OWN, audited
from autodoctor.db import Database
from autodoctor.disputes.errors import EvidenceBusy, EvidenceChanged, EvidenceNotFound, EvidenceOver
from autodoctor.disputes.papers import FIELDS
from autodoctor.disputes.texts import GAPS, MOST_CHARACTERS
from autodoctor.web.http import Content
from autodoctor.web.schemas import RequestBody, ResponseModel, Utc

type EvidenceState = Literal["due", "sending", "staged", "sent", "failed", "closed"]
type Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MOST_CHARACTERS)]


class EvidenceTexts(RequestBody):
    """What Stripe's text fields say; an empty one is not sent."""

    access_activity_log: Text = ""
    customer_email_address: Text = ""
    customer_name: Text = ""
    product_description: Text = ""
    refund_policy_disclosure: Text = ""
    refund_refusal_explanation: Text = ""
    service_date: Text = ""
    uncategorized_text: Text = ""


class EvidenceRequest(RequestBody):
    """The evidence as it shall be.

    Attributes:
        version: the one that was read.
        texts: all of them.
        send: to the bank, for good; else it is staged only.
    """

    version: Annotated[int, Field(ge=1, le=2**31 - 1)]
    texts: EvidenceTexts
    send: bool = False


class StagedTexts(ResponseModel):
    """What Stripe's text fields say; empty where the record has nothing for one."""

    access_activity_log: str = ""
    customer_email_address: str = ""
    customer_name: str = ""
    product_description: str = ""
    refund_policy_disclosure: str = ""
    refund_refusal_explanation: str = ""
    service_date: str = ""
    uncategorized_text: str = ""


class EvidenceDocument(ResponseModel):
    """A document of the evidence; `document=FIELD` answers it.

    Attributes:
        field: Stripe's name of its place.
    """

    field: str
    title: str
    bytes: int


class EvidenceGap(ResponseModel):
    """Something that the record does not have."""

    name: str
    says: str


class DisputeCase(ResponseModel):
    """A dispute, and what we answer to it.

    Attributes:
        dispute_status: as Stripe reported it last.
        stripe_url: the dispute in Stripe's dashboard.
        bought: intake, a session; extension, minutes of one; or pack, credits.
        customer_name: null where no request gave one, or it was erased.
        erased_at: when the customer's data was erased.
        due_by: until when the bank takes evidence.
        goes_at: when it is sent without an admin; null: not by itself.
        state: due: to be staged, or sent if `sends`; staged: Stripe has it, nobody has sent it; sent: the bank has it;
            closed: nothing can be sent any more.
        proves: whether the record shows that what was paid for was given.
        sent_by: the admin's `sub`; null: nobody yet, or the setting.
    """

    evidence_id: UUID
    dispute_id: str
    dispute_status: str
    stripe_url: str
    session_id: UUID | None
    bought: str
    title: str
    amount_cents: int
    currency: str
    customer_name: str | None
    erased_at: Utc | None
    created_at: Utc
    due_by: Utc | None
    goes_at: Utc | None
    state: EvidenceState
    closed_because: Literal["over", "no_answer", "elsewhere"] | None
    last_error: str | None
    proves: bool
    gaps: list[EvidenceGap]
    version: int
    texts: StagedTexts
    documents: list[EvidenceDocument]
    staged_at: Utc | None
    sends: bool
    sent_by: UUID | None
    sent_at: Utc | None


_CASE: Final[LiteralString] = """
SELECT e.id AS evidence_id, e.dispute_id, d.status AS dispute_status, stripe_page('disputes', d.id) AS stripe_url,
       s.id AS session_id, c.kind AS bought, c.title,
       c.amount_cents, c.currency, cu.erased_at, e.created_at, e.due_by, e.state, e.closed_because, e.last_error,
       CASE WHEN cu.erased_at IS NULL THEN coalesce(i.customer_name, cu.name) END AS customer_name,
       CASE WHEN e.state = 'staged' AND e.proves AND switch_setting('send_dispute_evidence')
            THEN e.due_by - interval '1 day' END AS goes_at,
       e.proves, e.gaps, e.version, e.texts, e.staged_at, e.sends, e.sent_by, e.sent_at,
       coalesce((SELECT jsonb_agg(jsonb_build_object('field', p.field, 'bytes', octet_length(p.content))
                                  ORDER BY p.field)
                   FROM dispute_documents p WHERE p.evidence_id = e.id), '[]') AS documents
  FROM dispute_evidence e JOIN stripe_disputes d ON d.id = e.dispute_id JOIN checkouts c ON c.id = e.checkout_id
  LEFT JOIN session_extensions x ON x.intake_id = c.intake_id
  LEFT JOIN intakes i ON i.id = coalesce(x.session_id, c.intake_id)
  LEFT JOIN sessions s ON s.id = i.id
  LEFT JOIN customers cu ON cu.user_id = c.user_id
 WHERE e.id = %(evidence_id)s
"""
_DOCUMENT: Final[LiteralString] = """
SELECT content FROM dispute_documents WHERE evidence_id = %(evidence_id)s AND field = %(field)s
"""
_WRITE: Final[LiteralString] = """
UPDATE dispute_evidence
   SET version = version + (texts <> %(texts)s)::integer, texts = %(texts)s, sends = sends OR %(send)s,
       sent_by = CASE WHEN %(send)s AND NOT sends THEN %(actor_id)s ELSE sent_by END,
       change_id = %(change_id)s, changed_by = %(actor_id)s,
       state = 'due', attempts = 0, next_attempt_at = clock_timestamp()
 WHERE id = %(evidence_id)s AND version = %(version)s AND prepared_at IS NOT NULL
   AND (state IN ('staged', 'failed') OR state = 'due' AND NOT sends)
   AND (texts <> %(texts)s OR %(send)s)
"""
_STANDS: Final[LiteralString] = (
    "SELECT e.state, e.version, e.texts = %(texts)s AS same, e.sends, e.prepared_at, "
    + OWN
    + " FROM dispute_evidence e WHERE e.id = %(evidence_id)s"
)


def dispute_case(database: Database, evidence_id: UUID) -> DisputeCase:
    """A dispute and its evidence.

    Raises:
        EvidenceNotFound: there is none with this id.
    """
    row = database.one(_CASE, {"evidence_id": evidence_id})
    if row is None:
        raise EvidenceNotFound
    gaps = [EvidenceGap(name=name, says=GAPS.get(name, name)) for name in row["gaps"]]
    documents = [EvidenceDocument(**each, title=FIELDS[each["field"]]) for each in row["documents"]]
    return DisputeCase.model_validate({**row, "gaps": gaps, "documents": documents})


def document(database: Database, evidence_id: UUID, field: str) -> Content[bytes]:
    """One document of an evidence, as Stripe gets it.

    Raises:
        EvidenceNotFound: there is no such document.
    """
    row = database.one(_DOCUMENT, {"evidence_id": evidence_id, "field": field})
    if row is None:
        raise EvidenceNotFound
    headers = {"Content-Disposition": f'attachment; filename="{field.replace("_", "-")}.pdf"'}
    return Content(bytes(row["content"]), "application/pdf", headers=headers)


def write_evidence(database: Database, admin_id: UUID, evidence_id: UUID, request: EvidenceRequest) -> DisputeCase:
    """Replace the texts of an evidence, and send it if that is asked for; the sweep has Stripe take it within minutes.

    Args:
        admin_id: the admin's `sub`.
        evidence_id: which.
        request: the texts, and the version that they are an edit of.

    Raises:
        EvidenceNotFound: there is none with this id.
        EvidenceOver: it was sent, or nothing can be sent any more.
        EvidenceBusy: it is being prepared, staged or sent.
        EvidenceChanged: somebody changed it since.
    """
    texts = {name: text for name, text in request.texts.model_dump().items() if text}
    values: dict[str, Any] = {
        **audited(admin_id),
        "evidence_id": evidence_id,
        "version": request.version,
        "texts": Jsonb(texts),
        "send": request.send,
    }
    if database.execute(_WRITE, values) == 0:
        _refuse(database, values)
    return dispute_case(database, evidence_id)


def _refuse(database: Database, values: dict[str, Any]) -> None:
    """Say why nothing was written, unless it was written already or there was nothing to write."""
    stands = database.one(_STANDS, values)
    if stands is None:
        raise EvidenceNotFound
    if stands["own"] or (stands["same"] and stands["sends"] and values["send"]):
        return
    if stands["state"] in ("sent", "closed"):
        raise EvidenceOver(stands["state"])
    if stands["version"] != values["version"]:
        raise EvidenceChanged(stands["version"])
    if stands["same"] and not values["send"]:
        return
    raise EvidenceBusy
