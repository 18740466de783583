"""Consumer of SES's reports: a bounce or a complaint stops further mail to that address"""

from collections.abc import Mapping
from typing import Any

from autodoctor.db import database
from autodoctor.events.consumer import envelope_consumer
from autodoctor.notifications.feedback import take_feedback

db = database()


def take(envelope: Mapping[str, Any]) -> None:
    take_feedback(db, envelope)


handler = envelope_consumer(take)
