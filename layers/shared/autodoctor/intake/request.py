"""A customer's request, as POST /api/intake/start takes it."""

from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints

from autodoctor.domain.referral import canonical_code
from autodoctor.web.schemas import VISIBLE, EmailAddress, Name, RequestBody, now

FIRST_MODEL_YEAR: Final = 1886
MOST_ATTACHMENTS: Final = 4


def _not_after_next_year(year: int) -> int:
    if year > now().year + 1:
        raise ValueError("must not be later than next year")
    return year


def _no_number(at: object) -> object:
    """Refuse what pydantic would take for seconds since 1970: times in JSON are ISO 8601 only."""
    if not isinstance(at, str) or "-" not in at:
        raise ValueError("must be an ISO 8601 date and time")
    return at


def _each_once(ids: tuple[UUID, ...]) -> tuple[UUID, ...]:
    if len(set(ids)) < len(ids):
        raise ValueError("must not name one twice")
    return ids


type Short = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), VISIBLE]
# ISO 3779: 17 characters, and never I, O or Q, which look like 1 and 0.
type Vin = Annotated[str, StringConstraints(to_upper=True, pattern=r"^[A-HJ-NPR-Za-hj-npr-z0-9]{17}$")]


class Vehicle(RequestBody):
    """The car."""

    year: Annotated[int, Field(ge=FIRST_MODEL_YEAR), AfterValidator(_not_after_next_year)]
    make: Short
    model: Short
    vin: Vin | None = None
    odometer_km: Annotated[int, Field(ge=0, le=10_000_000)] | None = None


class Signature(RequestBody):
    """The waiver, signed in the same call."""

    signed_name: Name
    waiver_version: str | None = None


class IntakeRequest(RequestBody):
    """The customer's request."""

    plan: str
    pay_with: Literal["free", "credit", "card"]
    session_type: Literal["chat", "video", "diagnostic"]
    name: Name
    email: EmailAddress
    phone: Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=40)] | None = None
    vehicle: Vehicle
    concern: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000), VISIBLE]
    urgent: bool = False
    preferred_mechanic_id: UUID | None = None
    workshop_id: UUID | None = None
    scheduled_for: Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_no_number)] | None = None
    waiver: Signature | None = None
    attachment_ids: Annotated[tuple[UUID, ...], Field(max_length=MOST_ATTACHMENTS), AfterValidator(_each_once)] = ()
    referral_code: Annotated[str, StringConstraints(max_length=40), AfterValidator(canonical_code)] | None = None
