"""The description of a route beyond what the route states: a name, a sentence, and a chapter."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

type Tag = Literal[
    "Intake",
    "Attachments",
    "Sessions",
    "Room",
    "Call",
    "Mechanics",
    "Payments",
    "Quotes",
    "Contests",
    "Notifications",
    "Realtime",
    "Administration",
    "Webhooks",
    "Console",
    "Meta",
]

TAGS: Final[Mapping[Tag, str]] = {
    "Intake": "A customer describes the problem, pays, and signs the waiver.",
    "Attachments": "Pictures and documents: promised here, uploaded to storage, checked, then read by a URL.",
    "Sessions": "One consultation, from waiting to its end, and what both parties see of it.",
    "Room": "What the two parties of a session say to each other.",
    "Call": "Sound and picture between the two parties of a session, and what their pages hear of each other.",
    "Mechanics": "The queue, offers, and availability.",
    "Payments": "Plans, credits, earnings, and how mechanics are paid.",
    "Contests": "A customer contests a session, its mechanic answers, and an admin decides about its price.",
    "Quotes": "A mechanic hands a session to a workshop, the workshop names an amount, the customer decides.",
    "Notifications": "A user's messages, and how they want to get them.",
    "Realtime": "How to open the WebSocket; /api/asyncapi.json describes its messages.",
    "Administration": "For admins only; every change is recorded with who made it.",
    "Webhooks": "Called by Stripe, whose signature is its authentication.",
    "Console": "A small web application for customers, mechanics and admins; not an API.",
    "Meta": "The API's description of itself.",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """The description of one route.

    Attributes:
        id: operationId, from which clients name their methods; never changes.
        summary: a few words.
        tag: the chapter it belongs to.
        text: the description, in CommonMark.
        query: query parameters with another meaning here than in parameters.py: text and schema, by name.
        body: schema of a body that is not read as one of our models.
        content: schema by media type of an answer that is not one of our models.
        statuses: the statuses of such an answer, with the meaning of each.
    """

    id: str
    summary: str
    tag: Tag
    text: str = ""
    query: Mapping[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    content: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    statuses: Mapping[int, str] = field(default_factory=dict)
