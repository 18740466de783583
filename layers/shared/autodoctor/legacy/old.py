"""One consultation of the old system, merged from all of its rows, however few they are."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from autodoctor.legacy import names
from autodoctor.legacy.names import Meaning
from autodoctor.legacy.parsing import RowValues, cents, derived_id, first, flag, identity, instant, minutes, text
from autodoctor.legacy.source import OldRow

UNKNOWN: Final = "[not recorded]"
_TYPES: Final = {"chat": "chat", "video": "video", "diagnostic": "diagnostic", "text": "chat", "call": "video"}
_JOINS: Final = {"joined": "joined", "join": "joined", "left": "left", "leave": "left"}


class Unmovable(Exception):
    """A row that cannot become a session of ours.

    Attributes:
        reason: the kind of obstacle.
        detail: the obstacle itself, without personal data.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass(slots=True)
class RelatedRows:
    """The rows that belong to a consultation."""

    intake: RowValues = field(default_factory=dict)
    profile: RowValues | None = None
    assignments: list[RowValues] = field(default_factory=list)
    participants: list[RowValues] = field(default_factory=list)
    events: list[RowValues] = field(default_factory=list)
    waivers: list[RowValues] = field(default_factory=list)
    requests: list[RowValues] = field(default_factory=list)
    paid_out: bool = False


@dataclass(frozen=True, slots=True)
class Visit:
    """A stay of one party; its end is None if none was recorded."""

    role: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Old:
    """The known facts of a consultation.

    Attributes:
        id: the one it keeps.
        user_id: its customer's.
        mechanic: the mechanic, as the old row names them.
        state: the state as the old system wrote it.
        meaning: the meaning of that state.
        price_cents: the price in cents.
        paid: whether the price was received.
        paid_out: whether it was recorded as paid to the mechanic.
        assignment_id: the last assignment's id.
        stuck: whether it is over while its assignment is still accepted.
        has_assignment: whether it has an assignment at all.
    """

    table: str
    key: str
    id: UUID
    user_id: UUID
    mechanic: UUID | None
    workshop: UUID | None
    session_type: str | None
    plan: str | None
    state: str
    meaning: Meaning
    created_at: datetime
    accepted_at: datetime | None
    scheduled_for: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    updated_at: datetime | None
    lasted: timedelta | None
    visits: tuple[Visit, ...]
    waiver: tuple[str, str, datetime] | None
    name: str
    email: str
    phone: str | None
    concern: str
    vehicle: dict[str, object]
    urgent: bool
    notes: str | None
    price_cents: int
    paid: bool
    paid_out: bool
    assignment_id: UUID | None
    has_assignment: bool
    stuck: bool


def customer_of(values: RowValues, related: RelatedRows) -> UUID | None:
    """The user whose consultation a row is, by itself or by its intake."""
    return identity(values, names.CUSTOMER) or identity(related.intake, names.CUSTOMER)


def read(table: str, row: OldRow, related: RelatedRows, states: dict[str, Meaning], *, people_known: bool) -> Old:
    """Make one value of a consultation's rows.

    Args:
        table: the one that `row` stands in.
        row: the consultation itself.
        related: what belongs to it.
        states: what each old state means.
        people_known: whether the old system says who its users are, so that one it does not know is missing.

    Raises:
        Unmovable: without a customer, an instant, or a state with a meaning.
    """
    values = row.values
    state = str(first(values, ("status", "state")) or "").strip().lower()
    if state not in states:
        raise Unmovable("unknown_status", f"{table}.status is {state!r}; see --map-status")
    user_id = customer_of(values, related)
    if user_id is None or (people_known and related.profile is None):
        raise Unmovable("customer_missing", "no customer" if user_id is None else f"nobody knows user {user_id}")
    assignments = sorted(related.assignments, key=lambda each: str(first(each, names.CREATED) or ""))
    last = assignments[-1] if assignments else {}
    accepted = [each for each in assignments if str(each.get("status")) in {"accepted", "completed"}]
    naming = [values, *related.requests, *reversed(accepted)]
    meaning = states[state]
    known = (values, related.intake, related.profile or {}, *related.requests)
    return Old(
        table=table,
        key=row.key,
        id=identity(values, ("id",)) or derived_id(table, row.key),
        user_id=user_id,
        mechanic=next((found for each in naming if (found := identity(each, names.MECHANIC))), None),
        workshop=next((found for each in naming if (found := identity(each, names.WORKSHOP))), None),
        session_type=_TYPES.get(str(first(values, names.TYPE)).lower(), None),
        plan=_plan(text(values, names.PLAN) or text(related.intake, names.PLAN)),
        state=state,
        meaning=meaning,
        created_at=_created_at(values, related),
        accepted_at=min(_all(names.ACCEPTED, *naming), default=None),
        scheduled_for=instant(values, names.SCHEDULED),
        started_at=instant(values, names.STARTED),
        ended_at=instant(values, names.ENDED),
        updated_at=instant(values, names.UPDATED),
        lasted=minutes(values),
        visits=_visits(related, user_id),
        waiver=_waiver(related),
        name=_known(names.NAME, known, 200) or UNKNOWN,
        email=_known(names.EMAIL, known, 320) or UNKNOWN,
        phone=_known(names.PHONE, known, 50),
        concern=_known(names.CONCERN, (related.intake, values, *related.requests), 4000) or UNKNOWN,
        vehicle=_vehicle(related.intake or values),
        urgent=any(flag(each, names.URGENT) for each in (values, related.intake, *related.requests)),
        notes=text(values, ("mechanic_notes",), 4000),
        price_cents=cents(values, names.CENTS, names.MONEY),
        paid=str(first(values, ("payment_status",))).lower() in names.PAID or first(values, names.PAYMENT) is not None,
        paid_out=related.paid_out or str(first(values, ("payout_status",))).lower() in names.PAID_OUT,
        assignment_id=identity(last, ("id",)),
        has_assignment=bool(assignments),
        stuck=meaning in names.OVER and any(str(each.get("status")) == "accepted" for each in assignments),
    )


def _created_at(values: RowValues, related: RelatedRows) -> datetime:
    """The earliest recorded time of the request, else the earliest known instant."""
    found = (
        min(_all(names.CREATED, values, *related.requests), default=None)
        or instant(values, names.STARTED)
        or instant(related.intake, names.CREATED)
        or instant(values, names.ENDED)
    )
    if found is None:
        raise Unmovable("no_time", "it says nowhere when it was")
    return found


def _all(columns: tuple[str, ...], *rows: RowValues) -> list[datetime]:
    return [at for each in rows if (at := instant(each, columns)) is not None]


def _known(columns: tuple[str, ...], rows: tuple[RowValues, ...], limit: int) -> str | None:
    return next((found for each in rows if (found := text(each, columns, limit))), None)


def _plan(code: str | None) -> str | None:
    return None if code is None else names.PLANS.get(code.lower(), code.lower())


def _visits(related: RelatedRows, user_id: UUID) -> tuple[Visit, ...]:
    """The recorded presence: columns of participants, and join and leave events."""
    found = [
        Visit(role, since, instant(each, ("left_at",)))
        for each in related.participants
        if (role := str(each.get("role")).lower()) in {"customer", "mechanic"}
        and (since := instant(each, ("joined_at",))) is not None
    ]
    here: dict[str, datetime] = {}
    for event in sorted(related.events, key=lambda each: str(first(each, names.CREATED) or "")):
        kind = _JOINS.get(str(first(event, ("event_type", "type", "event"))).lower().removeprefix("participant_"))
        at = instant(event, (*names.CREATED, "occurred_at"))
        if kind is None or at is None:
            continue
        role = str(first(event, ("role",)) or "").lower()
        if role not in {"customer", "mechanic"}:
            role = "customer" if identity(event, ("user_id",)) == user_id else "mechanic"
        if kind == "joined":
            here.setdefault(role, at)
        elif role in here:
            found.append(Visit(role, here.pop(role), at))
    return (*found, *(Visit(role, since, None) for role, since in here.items()))


def _waiver(related: RelatedRows) -> tuple[str, str, datetime] | None:
    """The first valid signature: the name, the version, and when."""
    signed = [
        (at, text(each, ("full_name", "signed_name", *names.NAME), 200), text(each, ("waiver_version", "version"), 100))
        for each in related.waivers
        if str(each.get("is_valid", True)).lower() != "false"
        and (at := instant(each, ("signed_at", *names.CREATED))) is not None
    ]
    return next(((name or UNKNOWN, version or "legacy", at) for at, name, version in sorted(signed, key=str)), None)


def _vehicle(values: RowValues) -> dict[str, object]:
    """Year, make and model as our pages show them, in one sentence where nothing is known."""
    inside = first(values, ("vehicle", "vehicle_info"))
    found = {**values, **(inside if isinstance(inside, dict) else {})}
    year, make, model = (text(found, (name, f"vehicle_{name}"), 100) for name in ("year", "make", "model"))
    if make is None and model is None:
        return {"year": "Unknown", "make": "vehicle", "model": UNKNOWN}
    vehicle: dict[str, object] = {"year": year or "?", "make": make or "?", "model": model or "?"}
    if year is not None and year.isdigit():
        vehicle["year"] = int(year)
    vin = text(found, ("vin",), 17)
    return vehicle | ({"vin": vin} if vin else {})
