"""POST /api/admin/sessions/search, /{sessionId}/contact: sessions by people and payments, and how to reach a customer.

The words are in the body, since addresses are logged; that somebody searched, and what was shown, is kept.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Final, Literal, LiteralString
from uuid import UUID

import psycopg
from pydantic import Field, StringConstraints

from autodoctor.db import Database
from autodoctor.errors import SessionNotFound, Unprocessable
from autodoctor.ids import LAST, new_id
from autodoctor.monitoring.session_search import SHOWN, FoundSession, FoundSessions
from autodoctor.web.paging import DEFAULT_LIMIT, MAX_LIMIT, id_of
from autodoctor.web.schemas import VISIBLE, RequestBody, ResponseModel

type SoughtBy = Literal["name", "email", "phone", "payment", "receipt", "id"]

_LEAST_LETTERS: Final = 2
_LEAST_DIGITS: Final = 4
_SAME_DIGITS: Final = 9
"""A number is dialled with and without the codes before it; its last digits are the same."""

_STRIPE_ID: Final = re.compile(r"(cs|pi|ch|py|tr|re|pyr|trr|dp|du)_\w+", re.ASCII)
_RECEIPT: Final = re.compile(r"(?P<year>20\d\d)-(?P<sequence>\d{6,9})", re.ASCII)
_PHONE: Final = re.compile(r"[+(]?[\d\s().+/-]+", re.ASCII)

# The newest of each person's: somebody may have had any number. What was paid for more minutes is none of them.
_OF_CUSTOMER: Final[LiteralString] = """
  SELECT i.id FROM customers c CROSS JOIN LATERAL (
    SELECT n.id FROM intakes n
     WHERE n.customer_id = c.id AND n.id < %(before)s
       AND NOT EXISTS (SELECT FROM session_extensions x WHERE x.intake_id = n.id)
     ORDER BY n.id DESC LIMIT %(limit)s + 1) AS i
"""
_OF_MECHANIC: Final[LiteralString] = """
  SELECT p.session_id FROM mechanics m CROSS JOIN LATERAL (
    SELECT DISTINCT n.session_id FROM session_participants n
     WHERE n.mechanic_id = m.id AND n.session_id < %(before)s
     ORDER BY n.session_id DESC LIMIT %(limit)s + 1) AS p
"""
_SOURCES: Final[dict[SoughtBy, LiteralString]] = {
    "name": """
  SELECT i.id FROM intakes i WHERE to_tsvector('simple', i.customer_name) @@ to_tsquery('simple', %(value)s)
   UNION
"""
    + _OF_MECHANIC
    + """
   WHERE to_tsvector('simple', m.name) @@ to_tsquery('simple', %(value)s)
""",
    "email": _OF_CUSTOMER
    + r"""
   WHERE lower(c.email) LIKE regexp_replace(lower(%(value)s), '([\\%%_])', '\\\1', 'g') || '%%'
""",
    "phone": _OF_CUSTOMER
    + r"""
   WHERE c.phone IS NOT NULL AND reverse(regexp_replace(c.phone, '\D', '', 'g')) LIKE reverse(%(value)s) || '%%'
""",
    "payment": """
  SELECT c.intake_id AS id FROM checkouts c
   WHERE %(value)s IN (c.stripe_session_id, c.stripe_payment_intent_id) AND c.intake_id IS NOT NULL
   UNION
  SELECT p.session_id FROM payouts p WHERE p.stripe_transfer_id = %(value)s
   UNION
  SELECT p.session_id FROM payout_reversals r JOIN payouts p ON p.id = r.payout_id
   WHERE r.stripe_reversal_id = %(value)s
   UNION
  SELECT r.intake_id FROM refunds r WHERE r.stripe_refund_id = %(value)s
   UNION
  SELECT c.intake_id FROM checkouts c
   WHERE c.intake_id IS NOT NULL AND c.stripe_payment_intent_id IN (
           SELECT r.payment_intent_id FROM stripe_refunds r WHERE r.id = %(value)s
            UNION ALL SELECT d.payment_intent_id FROM stripe_disputes d WHERE d.id = %(value)s
            UNION ALL SELECT m.payment_intent_id FROM stripe_movements m WHERE m.source = %(value)s
            UNION ALL SELECT m.payment_intent_id FROM stripe_movements m WHERE m.charge_id = %(value)s)
""",
    "receipt": """
  SELECT r.intake_id AS id FROM receipts r
   WHERE r.year = split_part(%(value)s, '-', 1)::integer AND r.sequence = split_part(%(value)s, '-', 2)::integer
     AND r.intake_id IS NOT NULL
""",
    "id": """
  SELECT i.id FROM intakes i WHERE i.id = %(value)s::uuid
   UNION
"""
    + _OF_CUSTOMER
    + """
   WHERE c.user_id = %(value)s::uuid
   UNION
"""
    + _OF_MECHANIC
    + """
   WHERE %(value)s::uuid IN (m.id, m.user_id)
""",
}

# All matches first, by their index: an ordered walk to the newest few would read every row for a rare name.
_FIND: Final[LiteralString] = """
WITH found AS MATERIALIZED (
"""
_PAGE: Final[LiteralString] = (
    """
), page AS MATERIALIZED (
  SELECT DISTINCT i.id AS session_id, i.created_at AS at, NULL::text AS severity
    FROM found f LEFT JOIN session_extensions x ON x.intake_id = f.id
    JOIN intakes i ON i.id = coalesce(x.session_id, f.id)
   WHERE i.id < %(before)s ORDER BY i.id DESC LIMIT %(limit)s + 1
), noted AS (
  INSERT INTO admin_lookups (id, actor_id, kind, found)
  SELECT %(lookup_id)s, %(admin_id)s, %(kind)s,
         ARRAY(SELECT p.session_id FROM page p ORDER BY p.session_id DESC LIMIT %(limit)s)
  ON CONFLICT (id) DO NOTHING
)
"""
    + SHOWN
    + " ORDER BY p.session_id DESC"
)
_CONTACT: Final[LiteralString] = """
WITH shown AS MATERIALIZED (
  SELECT i.id AS session_id, c.user_id, i.customer_name AS name, nullif(c.email, '[erased]') AS email, c.phone
    FROM intakes i JOIN customers c ON c.id = i.customer_id WHERE i.id = %(session_id)s
), noted AS (
  INSERT INTO admin_lookups (id, actor_id, kind, found)
  SELECT %(lookup_id)s, %(admin_id)s, 'contact', ARRAY[s.session_id] FROM shown s
  ON CONFLICT (id) DO NOTHING
)
SELECT * FROM shown
"""


class SearchRequest(RequestBody):
    """What is searched for, in one field.

    Attributes:
        text: beginnings of words of a name, the beginning of an e-mail address, the last digits of a telephone number,
            one of Stripe's ids (payment, charge, transfer, refund, dispute), a receipt's number, or the id of a
            session, customer or mechanic.
    """

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), VISIBLE]
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: str | None = None


class FoundByPeople(FoundSessions):
    """One page, newest first.

    Attributes:
        sought_by: what the text was taken for.
    """

    sought_by: SoughtBy


class CustomerContact(ResponseModel):
    """How to reach the customer of a session; what was erased is null."""

    session_id: UUID
    user_id: UUID
    name: str
    email: str | None
    phone: str | None


@dataclass(frozen=True, slots=True)
class Sought:
    """What a text is taken for, and the value that its statement looks for."""

    by: SoughtBy
    value: str


def sought(text: str) -> Sought:
    """What an operator's words mean, by their form alone.

    Raises:
        Unprocessable: too little to search for.
    """
    if _STRIPE_ID.fullmatch(text):
        return Sought("payment", text)
    if receipt := _RECEIPT.fullmatch(text):
        return Sought("receipt", receipt[0])
    if (found := _uuid(text)) is not None:
        return Sought("id", str(found))
    if "@" in text:
        return Sought("email", text)
    if _PHONE.fullmatch(text):
        digits = re.sub(r"\D", "", text)
        if len(digits) < _LEAST_DIGITS:
            raise Unprocessable(("/text", f"must be at least {_LEAST_DIGITS} digits of a telephone number"))
        return Sought("phone", digits[-_SAME_DIGITS:])
    words = re.findall(r"\w+", text)
    if max(map(len, words), default=0) < _LEAST_LETTERS:
        raise Unprocessable(("/text", f"must have a word of at least {_LEAST_LETTERS} letters"))
    return Sought("name", " & ".join(f"{word}:*" for word in words))


def find_sessions(database: Database, admin_id: UUID, request: SearchRequest) -> FoundByPeople:
    """One page of the sessions that a text leads to, newest first; that it was shown is kept.

    Args:
        database: as the application role.
        admin_id: the admin's `sub`.
        request: the text, and the page.

    Raises:
        Unprocessable: too little to search for, more matches than can be read in time, or no cursor of this list.
    """
    meant = sought(request.text)
    values = {
        "value": meant.value,
        "kind": meant.by,
        "before": id_of(request.cursor, LAST),
        "limit": request.limit,
        "lookup_id": new_id(),
        "admin_id": admin_id,
    }
    try:
        rows = database.all(_FIND + _SOURCES[meant.by] + _PAGE, values)
    except psycopg.errors.QueryCanceled:
        raise Unprocessable(("/text", "matches more than can be read in time: give more of it")) from None
    shown = [FoundSession(**row) for row in rows[: request.limit]]
    more = len(rows) > request.limit
    return FoundByPeople(sessions=shown, next_cursor=str(shown[-1].session_id) if more else None, sought_by=meant.by)


def customer_contact(database: Database, admin_id: UUID, session_id: UUID) -> CustomerContact:
    """How to reach the customer of a session; that it was shown is kept.

    Args:
        database: as the application role.
        admin_id: the admin's `sub`.
        session_id: the session, or a paid intake that never became one.

    Raises:
        SessionNotFound: there is none with this id.
    """
    row = database.one(_CONTACT, {"session_id": session_id, "admin_id": admin_id, "lookup_id": new_id()})
    if row is None:
        raise SessionNotFound
    return CustomerContact(**row)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
