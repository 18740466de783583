"""POST /api/intake/start: what a customer asks for becomes a session, or an error that says why not."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, LiteralString
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from autodoctor.db import Database, Refused, Row
from autodoctor.errors import (
    ActiveSessionExists,
    CustomerErased,
    IdempotencyKeyReused,
    OwnReferral,
    OwnSession,
    SessionBusy,
    TooManyRequests,
    Unprocessable,
)
from autodoctor.ids import new_id
from autodoctor.intake.request import IntakeRequest
from autodoctor.prefetched import WithEvents
from autodoctor.sessions.factory import FACTORY_CTES, PreferredMechanic

FURTHEST_SCHEDULE_DAYS: Final = 30
IDEMPOTENCY_HOURS: Final = 24
MAX_KEY_LENGTH: Final = 255
ATTEMPTS: Final = 3
"""An attempt may lose to a session that is over by the time we look for it; then the next attempt can succeed."""
PLAN_USED_UP: Final = "AD006"
"""SQLSTATE of check_plan_uses() (sql/people/0002_people_and_intakes.sql)."""


class SessionCreated(WithEvents):
    """The session that the intake has become."""

    session_id: UUID
    assignment_id: UUID
    session_status: str
    assignment_status: str
    next: Literal["sign_waiver", "wait"]
    preferred_mechanic: PreferredMechanic | None


SESSION_CREATED: Final[LiteralString] = """
SELECT o.id AS session_id, %(assignment_id)s::uuid AS assignment_id, o.session_status, o.assignment_status,
       CASE WHEN o.preferred_mechanic_id IS NOT NULL
            THEN CASE o.assignment_status WHEN 'offered' THEN 'offered' WHEN 'queued' THEN 'unavailable' END
       END AS preferred_mechanic,
       unpublished_events(a.session_id) AS unpublished
  FROM opening o JOIN assignment a ON a.session_id = o.id
"""

FIRST_SESSION: Final[LiteralString] = """
SELECT s.id AS session_id, a.id AS assignment_id, se.to_status AS session_status, ae.to_status AS assignment_status,
       CASE WHEN i.preferred_mechanic_id IS NOT NULL
            THEN CASE ae.to_status WHEN 'offered' THEN 'offered' WHEN 'queued' THEN 'unavailable' END
       END AS preferred_mechanic
  FROM sessions s
  JOIN intakes i ON i.id = s.id
  JOIN session_assignments a ON a.session_id = s.id AND a.attempt = 1
  JOIN LATERAL (SELECT to_status FROM session_events e WHERE e.session_id = s.id ORDER BY e.id LIMIT 1) se ON true
  JOIN LATERAL (SELECT to_status FROM session_assignment_events e WHERE e.session_id = s.id
                       ORDER BY e.id LIMIT 1) ae ON true
 WHERE s.id = %(intake_id)s
    OR s.id = (SELECT k.intake_id FROM idempotency_keys k WHERE k.user_id = %(user_id)s AND k.key = %(key)s
                  AND k.created_at >= now() - make_interval(hours => %(idempotency_hours)s))
"""


@dataclass(frozen=True, slots=True)
class Funding:
    """The payment of a session, as parts of the one statement that creates it.

    This module does not depend on payments: funded.py and card.py pass in their parts.

    Attributes:
        sells: the SQL condition on plan `p` for paying this way.
        otherwise: the message about payWith if that condition fails.
        books: CTEs after the factory's that read `intake` and `session` and book the payment.
        only_if: a further SQL condition, about the customer and not the request.
        objects: called if nothing was created; raises the Problem of a failed `only_if`.
        makes: CTEs after `intake` that create its session or its checkout.
        answer: the SELECT that ends the statement.
        first_answer: the same for an intake that this call (by `intake_id`) or its key has created before.
    """

    sells: LiteralString
    otherwise: str
    books: LiteralString = ""
    only_if: LiteralString = "true"
    makes: LiteralString = FACTORY_CTES
    answer: LiteralString = SESSION_CREATED
    first_answer: LiteralString = FIRST_SESSION
    objects: Callable[[Database, Row], None] | None = None


FREE: Final = Funding("p.price_cents = 0", "this plan is not free")

_ALLOWED: Final[LiteralString] = """
WITH allowed AS MATERIALIZED (
  SELECT p.* FROM plans p
   WHERE p.code = %(plan)s AND %(session_type)s = ANY (p.session_types)
     AND (%(workshop_id)s::uuid IS NULL OR EXISTS (SELECT FROM workshops w WHERE w.id = %(workshop_id)s))
     AND (%(preferred_mechanic_id)s::uuid IS NULL OR EXISTS (
           SELECT FROM mechanics m WHERE m.id = %(preferred_mechanic_id)s AND m.user_id <> %(user_id)s
              AND (%(workshop_id)s::uuid IS NULL OR m.workshop_id = %(workshop_id)s)))
     AND (%(scheduled_for)s::timestamptz IS NULL
          OR %(scheduled_for)s BETWEEN now() AND now() + make_interval(days => %(furthest_schedule_days)s))
     AND (%(waiver_version)s::text IS NULL OR %(waiver_version)s::text = ANY (waiver_versions()))
     AND (%(referral_code)s::text IS NULL OR EXISTS (
           SELECT FROM mechanics r WHERE r.referral_code = %(referral_code)s AND r.user_id <> %(user_id)s))
     AND NOT EXISTS (SELECT FROM unnest(%(attachment_ids)s::uuid[]) AS wanted (id)
                      WHERE NOT EXISTS (SELECT FROM attachments f
                                         WHERE f.id = wanted.id AND attachable(f, %(user_id)s)))
     AND NOT EXISTS (SELECT FROM customers c WHERE c.user_id = %(user_id)s AND c.erased_at IS NOT NULL)
     AND """

_INTAKE: Final[LiteralString] = """
), claimed AS (
  INSERT INTO idempotency_keys AS k (user_id, key, request_hash, intake_id)
  SELECT %(user_id)s, %(key)s, %(request_hash)s, %(intake_id)s FROM allowed WHERE %(key)s::text IS NOT NULL
  ON CONFLICT (user_id, key) DO UPDATE
     SET request_hash = excluded.request_hash, intake_id = excluded.intake_id, created_at = excluded.created_at
   WHERE k.created_at < now() - make_interval(hours => %(idempotency_hours)s)
  RETURNING 1
), customer AS (
  INSERT INTO customers AS c (user_id, name, email, phone, referrer_id)
  SELECT %(user_id)s, %(name)s, %(email)s, %(phone)s,
         (SELECT r.id FROM mechanics r WHERE r.referral_code = %(referral_code)s AND r.status = 'active')
    FROM allowed
   WHERE (%(key)s::text IS NULL OR EXISTS (SELECT FROM claimed)) AND count_against('intakes', %(user_id)s)
  ON CONFLICT (user_id) DO UPDATE SET name = excluded.name, email = excluded.email, phone = excluded.phone,
                                      referrer_id = coalesce(c.referrer_id, excluded.referrer_id)
  RETURNING id, referrer_id
), confirmed AS (
  INSERT INTO confirmed_addresses (user_id, address_hash)
  SELECT %(user_id)s, address_hash(%(email)s) FROM customer WHERE %(email_is_verified)s
  ON CONFLICT DO NOTHING
  RETURNING user_id
), intake AS (
  INSERT INTO intakes (id, customer_id, plan_code, funding, session_type, price_cents, currency, credits,
                       mechanic_share_bp, included_minutes, max_minutes, mechanic_fixed_pay_cents,
                       uses_per_customer, customer_name, vehicle, concern, urgent,
                       preferred_mechanic_id, workshop_id, scheduled_for, referrer_id, referral_bp)
  SELECT %(intake_id)s, customer.id, allowed.code, %(pay_with)s, %(session_type)s, allowed.price_cents,
         allowed.currency, allowed.credits, allowed.mechanic_share_bp, allowed.included_minutes,
         allowed.max_minutes, allowed.mechanic_fixed_pay_cents, allowed.uses_per_customer, %(name)s, %(vehicle)s,
         %(concern)s, %(urgent)s, %(preferred_mechanic_id)s, %(workshop_id)s, %(scheduled_for)s,
         customer.referrer_id, CASE WHEN customer.referrer_id IS NOT NULL THEN referral_bp() END
    FROM customer, allowed
   WHERE allowed.uses_per_customer IS NULL
      OR check_plan_uses(customer.id, allowed.code, allowed.uses_per_customer)
  RETURNING *
), attached AS (
  UPDATE attachments f SET session_id = intake.id, place = wanted.place
    FROM intake, unnest(%(attachment_ids)s::uuid[]) WITH ORDINALITY AS wanted (id, place)
   WHERE f.id = wanted.id AND attachable(f, %(user_id)s)
)
"""

_WHY_NOT: Final[LiteralString] = """
SELECT (SELECT k.request_hash = %(request_hash)s FROM idempotency_keys k
         WHERE k.user_id = %(user_id)s
           AND k.key = %(key)s
           AND k.created_at >= now() - make_interval(hours => %(idempotency_hours)s)) AS same_request,
       active.id AS active_id, active.status AS active_status,
       c.erased_at IS NOT NULL AS erased,
       p.code IS NOT NULL AS plan_known,
       p.uses_per_customer <= (
         SELECT count(*) FROM intakes i JOIN sessions used ON used.id = i.id
          WHERE i.customer_id = c.id AND i.plan_code = p.code AND used.status = 'completed') AS plan_used_up,
       coalesce(%(session_type)s = ANY (p.session_types), false) AS type_fits,
       w.id IS NOT NULL AS workshop_known,
       m.id IS NOT NULL AS mechanic_known, m.user_id = %(user_id)s AS mechanic_is_self,
       m.workshop_id IS NOT DISTINCT FROM %(workshop_id)s::uuid AS mechanic_in_workshop,
       coalesce(%(scheduled_for)s::timestamptz
                BETWEEN now() AND now() + make_interval(days => %(furthest_schedule_days)s), true) AS within_reach,
       %(referral_code)s::text IS NOT NULL AND r.id IS NULL AS code_unknown, r.user_id = %(user_id)s AS code_is_own,
       coalesce(%(waiver_version)s::text = ANY (waiver_versions()), false) AS waiver_known,
       ARRAY(SELECT wanted.id FROM unnest(%(attachment_ids)s::uuid[]) AS wanted (id)
              WHERE NOT EXISTS (SELECT FROM attachments f WHERE f.id = wanted.id AND attachable(f, %(user_id)s)))
         AS not_attachable,
       coalesce("""

_AS_THINGS_ARE: Final[LiteralString] = """, false) AS plan_sold_so
  FROM (SELECT) AS one
  LEFT JOIN customers c ON c.user_id = %(user_id)s
  LEFT JOIN sessions active
         ON active.customer_id = c.id AND active.ended_at IS NULL
  LEFT JOIN plans p ON p.code = %(plan)s
  LEFT JOIN workshops w ON w.id = %(workshop_id)s
  LEFT JOIN mechanics m ON m.id = %(preferred_mechanic_id)s
  LEFT JOIN mechanics r ON r.referral_code = %(referral_code)s
"""


def start_intake(  # noqa: PLR0913 (who asks for what, as whom, and how it is paid)
    database: Database,
    user_id: UUID,
    intake: IntakeRequest,
    idempotency_key: str | None = None,
    funding: Funding = FREE,
    *,
    verified_email: str | None = None,
) -> SessionCreated:
    """Create the customer's session.

    Args:
        user_id: the customer's `sub`.
        intake: what they ask for.
        idempotency_key: the same key and request within 24 hours give the first answer again.
        funding: the way to pay that the request's payWith names.
        verified_email: the address that the customer's sign-in has verified.

    Returns:
        The new session, or the one that this call or its key has created before.

    Raises:
        Unprocessable: an unknown or unfitting plan, workshop, mechanic, waiver version or referral code, or a schedule
            out of range (checked here and not in the model: a request repeated later still gets its first answer).
        IdempotencyKeyReused: the key came with another request before.
        ActiveSessionExists: the customer has a session already.
        OwnSession: the preferred mechanic is the customer.
        OwnReferral: the referral code is the customer's own.
        CustomerErased: the customer's data was erased.
        TooManyRequests: the customer has started too many of late.
    """
    parameters = intake_parameters(user_id, intake, idempotency_key, verified_email)
    for _ in range(ATTEMPTS):
        created = attempt_intake(database, parameters, funding)
        if created is not None:
            return _answer(created)
        if funding.objects is not None:
            funding.objects(database, parameters)
    raise SessionBusy


def attempt_intake(database: Database, parameters: Row, funding: Funding) -> Row | None:
    """Store the intake and what it becomes, in one statement.

    Args:
        parameters: `intake_parameters()`, and those that the funding's parts need.
        funding: how it is paid.

    Returns:
        The row of the funding's answer; None where something was in the way that may be over by now: try again.

    Raises:
        Problem: whatever `start_intake` raises.
    """
    create = _ALLOWED + funding.sells + " AND " + funding.only_if + _INTAKE + funding.makes + funding.books
    limited: TooManyRequests | None = None
    try:
        created = database.one(create + funding.answer, parameters)
    except TooManyRequests as used_up:  # what is in the way all the same, or was done before, says more
        created, limited = None, used_up
    except psycopg.errors.UniqueViolation:
        created = None
    except Refused as refused:
        if refused.code != PLAN_USED_UP:
            raise
        created = None
    created = created or _created_before(database, parameters, funding)
    if created is None and limited is not None:
        raise limited
    return created


def intake_parameters(
    user_id: UUID, intake: IntakeRequest, idempotency_key: str | None, verified_email: str | None = None
) -> Row:
    """The parameters of the statement of an intake, with new ids.

    Raises:
        Unprocessable: the Idempotency-Key is empty, too long or not printable.
    """
    if idempotency_key is not None and not (
        0 < len(idempotency_key) <= MAX_KEY_LENGTH and idempotency_key.isprintable()
    ):
        raise Unprocessable(("/headers/Idempotency-Key", "must be 1 to 255 printable characters"))
    signature = intake.waiver
    return {
        **intake.model_dump(exclude={"vehicle", "waiver"}),
        "attachment_ids": list(intake.attachment_ids),  # psycopg makes an array of a list only
        "vehicle": Jsonb(intake.vehicle.model_dump(by_alias=True, exclude_none=True)),
        "signed_name": signature and signature.signed_name,
        "waiver_version": signature and signature.waiver_version,
        "signed_at": None,
        "email_is_verified": (verified_email or "").lower() == intake.email.lower(),
        "user_id": user_id,
        "actor": "customer",
        "actor_id": user_id,
        "intake_id": new_id(),
        "assignment_id": new_id(),
        "key": idempotency_key,
        "request_hash": hashlib.sha256(intake.model_dump_json().encode()).digest(),
        "idempotency_hours": IDEMPOTENCY_HOURS,
        "furthest_schedule_days": FURTHEST_SCHEDULE_DAYS,
    }


def _created_before(database: Database, parameters: Row, funding: Funding) -> Row | None:
    """The intake that the key, or this call before it lost its connection after the commit, has already created.

    Raises:
        Problem: why nothing can be created.
    """
    why = database.one(_WHY_NOT + funding.sells + _AS_THINGS_ARE, parameters)
    if why is None:
        raise SessionBusy
    if why["same_request"] is False:
        raise IdempotencyKeyReused
    first_answer = database.one(funding.first_answer, parameters)
    if first_answer is not None:
        return first_answer
    _refuse_input(why, parameters, funding)
    if why["active_id"] is not None:
        raise ActiveSessionExists(why["active_id"], why["active_status"])
    return None


def _refuse_input(why: Row, parameters: Row, funding: Funding) -> None:
    if why["erased"]:
        raise CustomerErased
    if why["mechanic_is_self"]:
        raise OwnSession
    if why["code_is_own"]:
        raise OwnReferral
    asked_workshop, asked_mechanic = parameters["workshop_id"], parameters["preferred_mechanic_id"]
    no_files = [
        (f"/attachmentIds/{parameters['attachment_ids'].index(each)}", "is not a file that can be attached")
        for each in why["not_attachable"]
    ]
    wrong = no_files + [
        (pointer, what)
        for refused, pointer, what in (
            (not why["plan_known"], "/plan", "is not a plan"),
            (why["plan_used_up"], "/plan", "was used as often as a customer may"),
            (why["plan_known"] and not why["plan_sold_so"], "/payWith", funding.otherwise),
            (why["plan_known"] and not why["type_fits"], "/sessionType", "is not part of this plan"),
            (asked_workshop is not None and not why["workshop_known"], "/workshopId", "is not a workshop"),
            (
                asked_mechanic is not None and not why["mechanic_known"],
                "/preferredMechanicId",
                "is not a mechanic",
            ),
            (
                asked_mechanic is not None
                and asked_workshop is not None
                and why["mechanic_known"]
                and not why["mechanic_in_workshop"],
                "/preferredMechanicId",
                "does not work for this workshop",
            ),
            (not why["within_reach"], "/scheduledFor", "must be in the future and within 30 days"),
            (
                parameters["waiver_version"] is not None and not why["waiver_known"],
                "/waiver/waiverVersion",
                "is not a version",
            ),
            (why["code_unknown"], "/referralCode", "is not a referral code"),
        )
        if refused
    ]
    if wrong:
        raise Unprocessable(*wrong)


def _answer(created: Row) -> SessionCreated:
    return SessionCreated(**created, next="sign_waiver" if created["assignment_status"] == "pending_waiver" else "wait")
