"""A contest as its parties see it: the customer contests a session once, its mechanic answers once."""

from typing import Annotated, Final, Literal, LiteralString
from uuid import UUID

import psycopg
from pydantic import StringConstraints

from autodoctor.contests.errors import (
    ContestAnswered,
    ContestDecided,
    ContestExists,
    ContestNotFound,
    ContestNotOpen,
)
from autodoctor.db import Database, Refused, Row
from autodoctor.errors import SessionNotFound
from autodoctor.web.schemas import VISIBLE, RequestBody, ResponseModel, Utc

type ContestReason = Literal["not_helped", "wrong_advice", "cut_short", "behaviour", "other"]
type ContestOutcome = Literal["keep", "part", "all"]
type Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000), VISIBLE]


class ContestRequest(RequestBody):
    """What was wrong, and how, in the customer's words."""

    reason: ContestReason
    text: Words


class AnswerRequest(RequestBody):
    """The mechanic's side of it."""

    text: Words


class Contest(ResponseModel):
    """A contest, and what became of it.

    Attributes:
        text: the customer's words; empty once they were erased.
        answer: the mechanic's words; null until they answer.
        outcome: keep: nothing changes; part or all of what was paid goes back; null: nobody has decided.
        refund_cents: what of payments by card goes back, in cents of usd; `refund_credits` the same in credits.
        note: what the admin says of it, to both.
    """

    reason: ContestReason
    text: str
    contested_at: Utc
    answer: str | None
    answered_at: Utc | None
    outcome: ContestOutcome | None
    refund_cents: int | None
    refund_credits: int | None
    note: str | None
    decided_at: Utc | None


class SessionContest(ResponseModel):
    """Whether a session is contested, or may be.

    Attributes:
        open_until: until when its customer may contest it; null: not, or not any more.
    """

    session_id: UUID
    open_until: Utc | None
    contest: Contest | None


# The guard of the table refuses what cannot be contested; a repetition finds its own row.
_CONTEST: Final[LiteralString] = """
INSERT INTO contests (session_id, reason, words)
SELECT s.id, %(reason)s, %(text)s FROM sessions s JOIN customers c ON c.id = s.customer_id
 WHERE s.id = %(session_id)s AND c.user_id = %(user_id)s AND contestable_until(s.id) > clock_timestamp()
   AND c.erased_at IS NULL AND NOT EXISTS (SELECT FROM contests k WHERE k.session_id = s.id)
   FOR SHARE OF c -- an erasure comes before or after, never beside
"""
_ANSWER: Final[LiteralString] = """
WITH mine AS MATERIALIZED (
  SELECT s.id FROM sessions s JOIN mechanics m ON m.id = s.mechanic_id JOIN customers c ON c.id = s.customer_id
   WHERE s.id = %(session_id)s AND m.user_id = %(user_id)s AND c.erased_at IS NULL
     AND m.erased_at IS NULL
     FOR SHARE OF c, m -- as above
)
UPDATE contests k SET answer = %(text)s FROM mine
 WHERE k.session_id = mine.id AND k.answer IS NULL AND k.outcome IS NULL
"""
_SHOWN: Final[LiteralString] = """
SELECT s.id AS session_id, c.user_id = %(user_id)s AS of_customer, c.erased_at IS NOT NULL AS erased,
       st.outcome AS settled,
       i.funding <> 'free' AND i.price_cents > 0
         OR EXISTS (SELECT FROM session_extensions x WHERE x.session_id = s.id AND x.status = 'running') AS is_paid,
       contestable_until(s.id) AS closes_at,
       contestable_until(s.id) > clock_timestamp() AND c.erased_at IS NULL AS in_time,
       k.reason, k.words AS text, k.contested_at, k.answer, k.answered_at, k.outcome, k.refund_cents, k.refund_credits,
       k.note, k.decided_at
  FROM sessions s JOIN intakes i ON i.id = s.id JOIN customers c ON c.id = s.customer_id
  LEFT JOIN mechanics m ON m.id = s.mechanic_id AND m.erased_at IS NULL
  LEFT JOIN settlements st ON st.session_id = s.id
  LEFT JOIN contests k ON k.session_id = s.id
 WHERE s.id = %(session_id)s AND (%(any_session)s OR %(user_id)s IN (c.user_id, m.user_id))
"""


def session_contest(
    database: Database, user_id: UUID, session_id: UUID, *, any_session: bool = False
) -> SessionContest:
    """The contest of a session, for its parties.

    Args:
        user_id: who asks.
        session_id: which session.
        any_session: whether the caller may see every session (admins).

    Raises:
        SessionNotFound: there is no such session that this caller may see.
    """
    return _shown(_row(database, user_id, session_id, any_session=any_session))


def contest(database: Database, user_id: UUID, session_id: UUID, request: ContestRequest) -> SessionContest:
    """Contest a session, which holds what is not sent of its money; the same again changes nothing.

    Args:
        user_id: the `sub` of its customer.
        session_id: a session that was paid for, and settled as one that pays.
        request: what was wrong.

    Raises:
        SessionNotFound: there is no such session of this customer.
        ContestNotOpen: it cannot be contested.
        ContestExists: it is contested with other words.
    """
    values = {**request.model_dump(), "session_id": session_id, "user_id": user_id}
    try:
        made = database.execute(_CONTEST, values) == 1
    except (psycopg.errors.UniqueViolation, Refused):  # a concurrent call won, or its time is over: read below
        made = False
    row = _row(database, user_id, session_id)
    if not row["of_customer"]:
        raise SessionNotFound
    if row["reason"] is None:
        raise ContestNotOpen(_why_closed(row))
    if not made and (row["reason"], row["text"]) != (request.reason, request.text):
        raise ContestExists
    return _shown(row)


def answer(database: Database, user_id: UUID, session_id: UUID, request: AnswerRequest) -> SessionContest:
    """Answer a contest, once and before it is decided; the same again changes nothing.

    Args:
        user_id: the `sub` of the session's mechanic.
        session_id: a contested session.
        request: the mechanic's words.

    Raises:
        SessionNotFound: there is no such session of this mechanic.
        ContestNotFound: it is not contested.
        ContestAnswered: it was answered with other words.
        ContestDecided: it was decided without an answer.
        ContestNotOpen: the customer's data was erased, with all that was said.
    """
    values = {"text": request.text, "session_id": session_id, "user_id": user_id}
    answered = database.execute(_ANSWER, values) == 1
    row = _row(database, user_id, session_id)
    if row["of_customer"]:
        raise SessionNotFound
    if row["reason"] is None:
        raise ContestNotFound
    if not answered and row["answer"] is None:
        raise ContestNotOpen("erased") if row["outcome"] is None else ContestDecided(row["outcome"])
    if row["answer"] != request.text:
        raise ContestAnswered
    return _shown(row)


def _row(database: Database, user_id: UUID, session_id: UUID, *, any_session: bool = False) -> Row:
    row = database.one(_SHOWN, {"user_id": user_id, "session_id": session_id, "any_session": any_session})
    if row is None:
        raise SessionNotFound
    return row


def _shown(row: Row) -> SessionContest:
    stands = Contest.model_validate(row) if row["reason"] is not None else None
    return SessionContest(
        session_id=row["session_id"],
        open_until=row["closes_at"] if row["in_time"] and stands is None else None,
        contest=stands,
    )


def _why_closed(row: Row) -> str:
    if row["erased"]:
        return "erased"
    if not row["is_paid"]:
        return "nothing_paid"
    if row["settled"] is None:
        return "not_settled"
    return "over" if row["settled"] == "pay" else "given_back"
