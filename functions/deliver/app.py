"""Consumer of the bus: tells a room what not everybody in it has heard yet"""

from autodoctor.db import database
from autodoctor.events.consumer import consumer
from autodoctor.events.model import Event, MessageEvent, SessionEvent
from autodoctor.room.tell import deliver
from autodoctor.settings import required

required("WEBSOCKET_ENDPOINT")
db = database()


def handle(event: Event) -> None:
    if isinstance(event, MessageEvent | SessionEvent):
        deliver(db, event)


handler = consumer(handle)
