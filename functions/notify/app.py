"""Consumer of the bus: notifies customers and mechanics by e-mail and in the application"""

from autodoctor.db import database
from autodoctor.events.consumer import consumer
from autodoctor.events.model import Event
from autodoctor.notifications.notify import notify
from autodoctor.notifications.sender import SesSender
from autodoctor.settings import session_base_url

db = database()
ses = SesSender()
session_base_url()  # a deployment without it fails here, not at the first mail


def handle(event: Event) -> None:
    notify(db, ses, event)


handler = consumer(handle)
