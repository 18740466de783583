"""Consumer of what the medium says, and of ends of sessions, whose meetings it closes; on a schedule, the sweep"""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from aws_lambda_powertools.utilities.typing import LambdaContext

from autodoctor.db import database
from autodoctor.deadline import SecondsLeft
from autodoctor.events.consumer import envelope_consumer
from autodoctor.media.chime import ChimeExit
from autodoctor.media.ghosts import close_meetings, sweep_meetings
from autodoctor.media.hearing import hear_chime, hear_presence
from autodoctor.monitoring.scheduled import scheduled
from autodoctor.observability import MetricUnit, metrics
from autodoctor.room.tell import Teller

ENOUGH_SECONDS: Final = 40.0

db = database()
medium = ChimeExit()
teller = Teller(db)


def take(envelope: Mapping[str, Any]) -> None:
    detail = envelope.get("detail", envelope)  # a queue of Chime's may hold the detail alone
    match envelope.get("source", "aws.chime"):
        case "autodoctor":
            close_meetings(db, medium, lambda: ENOUGH_SECONDS, UUID(detail["sessionId"]))
        case "medium":
            tell(hear_presence(db, detail))
        case _:
            tell(hear_chime(db, detail))


def tell(changed: UUID | None) -> None:
    if changed is not None:
        teller.left(changed)


consume = envelope_consumer(take)


@scheduled(db, "sweep-meetings")
def sweep(seconds_left: SecondsLeft) -> dict[str, Any]:
    swept = sweep_meetings(db, medium, seconds_left).model_dump(by_alias=True)
    metrics.add_metric(name="MeetingsClosed", unit=MetricUnit.Count, value=swept["closed"])
    metrics.add_metric(name="MeetingsUnheard", unit=MetricUnit.Count, value=swept["unheard"])
    return swept


def handler(event: Mapping[str, Any], context: LambdaContext) -> Mapping[str, Any]:
    return consume(event, context) if "Records" in event else sweep(event, context)
