"""One consultation of the old system, merged from all of its rows, however few they are."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from autodoctor.legacy import names
from autodoctor.legacy.names import Meaning
from autodoctor.legacy.parsing import Cells, cents, derived_id, first, flag, identity, instant, minutes, text
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
class Family:
    """The rows that belong to a consultation."""

    intake: Cells = field(default_factory=dict)
    profile: Cells | None = None
    assignments: list[Cells] = field(default_factory=list)
    participants: list[Cells] = field(default_factory=list)
    events: list[Cells] = field(default_factory=list)
    waivers: list[Cells] = field(default_factory=list)
    requests: list[Cells] = field(default_factory=list)
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


def read(table: str, row: OldRow, family: Family, states: dict[str, Meaning], *, people_known: bool) -> Old:
    """Make one value of a consultation's rows.

    Args:
        table: the one that `row` stands in.
        row: the consultation itself.
        family: what belongs to it.
        states: what each old state means.
        people_known: whether the old system says who its users are, so that one it does not know is missing.

    Raises:
        Unmovable: without a customer, an instant, or a state with a meaning.
    """
    cells = row.cells
    state = str(first(cells, ("status", "state")) or "").strip().lower()
    if state not in states:
        raise Unmovable("unknown_status", f"{table}.status is {state!r}; see --map-status")
    user_id = identity(cells, names.CUSTOMER) or identity(family.intake, names.CUSTOMER)
    if user_id is None or (people_known and family.profile is None):
        raise Unmovable("customer_missing", "no customer" if user_id is None else f"nobody knows user {user_id}")
    assignments = sorted(family.assignments, key=lambda each: str(first(each, names.CREATED) or ""))
    last = assignments[-1] if assignments else {}
    accepted = [each for each in assignments if str(each.get("status")) in {"accepted", "completed"}]
    told = [cells, *family.requests, *reversed(accepted)]
    meaning = states[state]
    known = (cells, family.intake, family.profile or {}, *family.requests)
    return Old(
        table=table,
        key=row.key,
        id=identity(cells, ("id",)) or derived_id(table, row.key),
        user_id=user_id,
        mechanic=next((found for each in told if (found := identity(each, names.MECHANIC))), None),
        workshop=next((found for each in told if (found := identity(each, names.WORKSHOP))), None),
        session_type=_TYPES.get(str(first(cells, names.TYPE)).lower(), None),
        plan=_plan(text(cells, names.PLAN) or text(family.intake, names.PLAN)),
        state=state,
        meaning=meaning,
        created_at=_created_at(cells, family),
        accepted_at=min(_all(names.ACCEPTED, *told), default=None),
        scheduled_for=instant(cells, names.SCHEDULED),
        started_at=instant(cells, names.STARTED),
        ended_at=instant(cells, names.ENDED),
        updated_at=instant(cells, names.UPDATED),
        lasted=minutes(cells),
        visits=_visits(family, user_id),
        waiver=_waiver(family),
        name=_known(names.NAME, known, 200) or UNKNOWN,
        email=_known(names.EMAIL, known, 320) or UNKNOWN,
        phone=_known(names.PHONE, known, 50),
        concern=_known(names.CONCERN, (family.intake, cells, *family.requests), 4000) or UNKNOWN,
        vehicle=_vehicle(family.intake or cells),
        urgent=any(flag(each, names.URGENT) for each in (cells, family.intake, *family.requests)),
        notes=text(cells, ("mechanic_notes",)),
        price_cents=cents(cells, names.CENTS, names.MONEY),
        paid=str(first(cells, ("payment_status",))).lower() in names.PAID or first(cells, names.PAYMENT) is not None,
        paid_out=family.paid_out or str(first(cells, ("payout_status",))).lower() in names.PAID_OUT,
        assignment_id=identity(last, ("id",)),
        has_assignment=bool(assignments),
        stuck=meaning in names.OVER and any(str(each.get("status")) == "accepted" for each in assignments),
    )


def _created_at(cells: Cells, family: Family) -> datetime:
    """The earliest recorded time of the request, else the earliest known instant."""
    found = (
        min(_all(names.CREATED, cells, *family.requests), default=None)
        or instant(cells, names.STARTED)
        or instant(family.intake, names.CREATED)
        or instant(cells, names.ENDED)
    )
    if found is None:
        raise Unmovable("no_time", "it says nowhere when it was")
    return found


def _all(columns: tuple[str, ...], *rows: Cells) -> list[datetime]:
    return [at for each in rows if (at := instant(each, columns)) is not None]


def _known(columns: tuple[str, ...], rows: tuple[Cells, ...], limit: int) -> str | None:
    return next((found for each in rows if (found := text(each, columns, limit))), None)


def _plan(code: str | None) -> str | None:
    return None if code is None else names.PLANS.get(code.lower(), code.lower())


def _visits(family: Family, user_id: UUID) -> tuple[Visit, ...]:
    """The recorded presence: columns of participants, and join and leave events."""
    found = [
        Visit(role, since, instant(each, ("left_at",)))
        for each in family.participants
        if (role := str(each.get("role")).lower()) in {"customer", "mechanic"}
        and (since := instant(each, ("joined_at",))) is not None
    ]
    here: dict[str, datetime] = {}
    for event in sorted(family.events, key=lambda each: str(first(each, names.CREATED) or "")):
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


def _waiver(family: Family) -> tuple[str, str, datetime] | None:
    """The first valid signature: the name, the version, and when."""
    signed = [
        (at, text(each, ("full_name", "signed_name", *names.NAME), 200), text(each, ("waiver_version", "version"), 100))
        for each in family.waivers
        if str(each.get("is_valid", True)).lower() != "false"
        and (at := instant(each, ("signed_at", *names.CREATED))) is not None
    ]
    return next(((name or UNKNOWN, version or "legacy", at) for at, name, version in sorted(signed, key=str)), None)


def _vehicle(cells: Cells) -> dict[str, object]:
    """Year, make and model as our pages show them, in one sentence where nothing is known."""
    inside = first(cells, ("vehicle", "vehicle_info"))
    found = {**cells, **(inside if isinstance(inside, dict) else {})}
    year, make, model = (text(found, (name, f"vehicle_{name}"), 100) for name in ("year", "make", "model"))
    if make is None and model is None:
        return {"year": "Unknown", "make": "vehicle", "model": UNKNOWN}
    vehicle: dict[str, object] = {"year": year or "?", "make": make or "?", "model": model or "?"}
    if year is not None and year.isdigit():
        vehicle["year"] = int(year)
    vin = text(found, ("vin",), 17)
    return vehicle | ({"vin": vin} if vin else {})
