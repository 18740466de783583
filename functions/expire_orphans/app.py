"""EventBridge schedule: silent sockets, orphans, lapsed offers, scheduled sessions coming due, abandoned sessions"""

from typing import Any, Final

from autodoctor.db import database
from autodoctor.deadline import SecondsLeft
from autodoctor.events.feed.silence import ask_sockets
from autodoctor.events.relay import relay
from autodoctor.monitoring.scheduled import scheduled
from autodoctor.observability import MetricUnit, metrics
from autodoctor.room.tell import Teller
from autodoctor.sessions.expiry import sweep

SWEEP_SECONDS: Final = 25.0
"""Of the function's time this is left for what else there is to sweep."""

db = database()
teller = Teller(db)


@scheduled(db, "expire-orphans")
def handler(seconds_left: SecondsLeft) -> dict[str, Any]:
    try:
        asked = ask_sockets(db, lambda: seconds_left() - SWEEP_SECONDS)
        for session_id in asked.rooms:
            if seconds_left() > SWEEP_SECONDS:  # else their pages see it when they next look
                teller.left(session_id)
    finally:  # whatever API Gateway says
        try:
            ended = sweep(db, seconds_left)
        finally:
            relay(db, seconds_left, grace_seconds=0)  # publish the sweeps' events now, not a minute later
    swept = {**ended.model_dump(by_alias=True), "silentSockets": asked.silent, "goneSockets": asked.gone}
    for name, count in swept.items():
        metrics.add_metric(name=f"Swept{name[0].upper()}{name[1:]}", unit=MetricUnit.Count, value=count)
    return swept
