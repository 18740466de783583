"""Examples for the documents: a value for every field name, so that a new model has an example at once."""

from collections.abc import Mapping
from typing import Any, Final

from autodoctor.describe.schemas import REF, Schema, resolve

_SESSION: Final = "0199d3a5-7c00-7a10-8000-0000000000a1"
_ASSIGNMENT: Final = "0199d3a5-7c00-7a10-8000-0000000000b2"
_MECHANIC: Final = "0199d3a5-7c00-7a10-8000-0000000000c3"
_CUSTOMER: Final = "c0000000-0000-4000-8000-000000000001"
_OTHER: Final = "0199d3a5-7c00-7a10-8000-0000000000d4"

VALUES: Final[Mapping[str, Any]] = {
    "sessionId": _SESSION,
    "assignmentId": _ASSIGNMENT,
    "mechanicId": _MECHANIC,
    "preferredMechanicId": _MECHANIC,
    "customerId": _CUSTOMER,
    "userId": _CUSTOMER,
    "name": "Cora Castillo",
    "customerName": "Cora Castillo",
    "signedName": "Cora Castillo",
    "counterpartName": "Mona Mechanic",
    "workshopName": "Brake & Co",
    "email": "cora@example.com",
    "phone": "+1 555 0100",
    "make": "Toyota",
    "model": "Corolla",
    "year": 2015,
    "vin": "JTDBR32E720012345",
    "odometerKm": 120000,
    "vehicleSummary": "2015 Toyota Corolla",
    "concern": "It squeals when I brake.",
    "mechanicNotes": "Front pads are worn; have them replaced this week.",
    "plan": "standard",
    "code": "standard",
    "pack": "ten",
    "payWith": "card",
    "sessionType": "video",
    "sessionTypes": ["video"],
    "status": "live",
    "sessionStatus": "waiting",
    "assignmentStatus": "queued",
    "previousStatus": "live",
    "absent": None,
    "reason": "billable",
    "outcome": "recorded",
    "actor": "customer",
    "event": "session.live",
    "waiverVersion": "1.0",
    "sessionUrl": "https://sessions.example.com/video/" + _SESSION,
    "checkoutUrl": "https://checkout.stripe.com/c/pay/cs_test_a1",
    "url": "https://connect.stripe.com/setup/e/acct_1",
    "ticket": "q3Jw0c1Yc9n0b7yq1Zb3m0cF2m7yQ8w1t0a9r5s4d3E",
    "attachmentId": _OTHER,
    "attachmentState": "scanning",
    "pictureId": _OTHER,
    "contentType": "image/jpeg",
    "bytes": 482113,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "expiresIn": 60,
    "AttachmentRequest.name": "brake-disc.jpg",
    "Readable.name": "brake-disc.jpg",
    "Readable.url": "https://files.s3.eu-central-1.amazonaws.com/uploads/" + _OTHER + ".jpg?X-Amz-Signature=9f86",
    "Upload.url": "https://files.s3.eu-central-1.amazonaws.com",
    "connectionId": "JKJaXmPLvHcESHA=",
    "provider": "chime",
    "meeting": {"MeetingId": _OTHER, "MediaRegion": "eu-central-1"},
    "attendee": {"AttendeeId": _OTHER, "ExternalUserId": _OTHER, "JoinToken": "WXZhZGVl"},
    "packets": 742,
    "recorded": True,
    "nextCursor": None,
    "currency": "usd",
    "priceCents": 2999,
    "amountCents": 2099,
    "credits": 3,
    "balance": 5,
    "price": 3,
    "includedMinutes": 30,
    "maxMinutes": 180,
    "minutes": 60,
    "mechanicShareBp": 7000,
    "mechanicFixedPayCents": 0,
    "durationSeconds": 754,
    "estimatedWaitSeconds": 120,
    "kind": "session_completed",
    "locale": "en",
    "title": "Your session is over",
    "text": "You talked for 12 minutes and 34 seconds.",
    "key": "goodwill-2026-11-21",
    "successor": "/api/intake/start",
    "detail": "Nothing of this is possible now.",
    "errors": [{"pointer": "/vehicle/year", "detail": "must not be later than next year"}],
    "mechanicName": "Mona Mechanic",
    "note": "Needs new front discs.",
    "description": "Front discs and pads, parts and labour.",
    "requestedAt": "2026-11-21T10:14:00Z",
    "givenAt": "2026-11-21T11:02:00Z",
    "decidedAt": None,
    "InsufficientCredits.balance": 2,
    "SessionEnded.status": "completed",
    "SessionNotOpen.status": "scheduled",
    "SessionNotEscalatable.status": "cancelled",
    "QuoteDecided.status": "declined",
    "CreditPackExists.code": "ten",
    "NotOffered.reason": "busy",
    "PayoutOver.payoutState": "sent",
    "WithdrawnTooOften.withdrawn": 3,
    "SettlementNotHeld.outcome": "refund",
    "ContestNotOpen.why": "not_settled",
    "ExtensionNotPossible.why": "too_long",
    "ContestDecided.outcome": "part",
    "Ended.status": "completed",
    "Ended.alreadyEnded": False,
    "PastSession.status": "completed",
    "Mechanic.name": "Mona Mechanic",
    "Mechanic.status": "active",
    "NewMechanic.name": "Mona Mechanic",
    "NewMechanic.email": "mona@example.com",
    "Workshop.name": "Brake & Co",
    "NewWorkshop.name": "Brake & Co",
    "Queue.status": "queued",
    "QueuedAssignment.status": "queued",
    "SessionHealth.from": "2026-11-20T10:00:00Z",
    "Tile.name": "sessions created",
    "Tile.value": 128,
    "Score.value": 97.5,
    "MoneyStuck.kind": "payouts",
    "ScheduleRun.name": "relay",
    "ScheduleRun.state": "ok",
    "PastAlert.alert": "stuck_live",
    "PastAlert.subject": _SESSION,
    "Sample.subject": _SESSION,
    "alert": "stuck_live",
    "severity": "warning",
    "list": "/api/admin/sessions?alert=stuck_live",
    "endReason": "no_show",
    "funding": "card",
    "check": "outcome-disagrees",
    "says": "The outcome is not the one that its evidence gives.",
    "stoppedIn": None,
    "stoppedAt": None,
    "asOf": "2026-11-21T10:15:00Z",
    "referralCode": "MONA2026",
    "createdAt": "2026-11-21T10:00:00Z",
    "queuedAt": "2026-11-21T10:00:05Z",
    "acceptedAt": "2026-11-21T10:00:40Z",
    "joinedAt": "2026-11-21T10:01:00Z",
    "startedAt": "2026-11-21T10:01:00Z",
    "endedAt": "2026-11-21T10:13:34Z",
    "scheduledFor": None,
    "expiresAt": "2026-11-21T10:05:00Z",
    "offerExpiresAt": None,
}
"""By the name in JSON, or by model and name; a value that does not fit a field's schema is skipped."""

_PLAIN: Final[Mapping[str, Any]] = {"integer": 1, "number": 1.0, "boolean": True, "string": "text", "object": {}}
_FORMATS: Final = {
    "uuid": _OTHER,
    "date-time": "2026-11-21T10:00:00Z",
    "date": "2026-11-21",
    "uri": "https://x.example",
}


def example(schema: Schema, definitions: Mapping[str, Schema], name: str = "") -> Any:  # noqa: ANN401 (any JSON)
    """A realistic value that the schema allows.

    Args:
        schema: of the value; may refer to `definitions`.
        definitions: schemas by name.
        name: of the value's field.
    """
    model = schema.get("$ref", "").removeprefix(REF)
    schema = resolve(schema, definitions)
    if name in VALUES and _fits(VALUES[name], schema, definitions):
        return VALUES[name]
    choices = schema.get("anyOf", schema.get("oneOf"))
    if choices is not None:
        return example(choices[0], definitions, name)
    if "properties" in schema:
        special = {each: VALUES[f"{model}.{each}"] for each in schema["properties"] if f"{model}.{each}" in VALUES}
        return {each: example(inner, definitions, each) for each, inner in schema["properties"].items()} | special
    if schema.get("type") == "array":
        return [example(schema["items"], definitions, name.removesuffix("s"))]
    return _scalar(schema)


def _scalar(schema: Schema) -> Any:  # noqa: ANN401 (any JSON)
    for given in ("const", "default"):
        if given in schema:
            return schema[given]
    if "enum" in schema:
        return schema["enum"][0]
    if "format" in schema:
        return _FORMATS.get(schema["format"], "text")
    if schema.get("type") == "integer":
        return max(1, schema.get("minimum", 1))
    return _PLAIN.get(schema.get("type", "null"))


def _fits(value: object, schema: Schema, definitions: Mapping[str, Schema]) -> bool:
    """Whether the schema allows this scalar, or list of scalars, by its type and choices."""
    schema = resolve(schema, definitions)
    if "enum" in schema or "const" in schema:
        return value in schema.get("enum", [schema.get("const")])
    choices = schema.get("anyOf", schema.get("oneOf"))
    if choices is not None:
        return any(_fits(value, each, definitions) for each in choices)
    if isinstance(value, list):
        items = schema.get("items")
        return (
            schema.get("type") == "array"
            and items is not None
            and all(_fits(each, items, definitions) for each in value)
        )
    kinds = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
    return schema.get("type") == kinds.get(type(value))
