"""Consumer of the bus: calls people whose page is closed, by Web Push"""

from autodoctor.db import database
from autodoctor.events.consumer import consumer
from autodoctor.events.model import Event
from autodoctor.push.calls import call
from autodoctor.push.service import PushSender
from autodoctor.push.vapid import check_vapid, vapid
from autodoctor.settings import required, session_base_url

check_vapid()
required("PUSH_HOSTS")
session_base_url()
db = database()
sender = PushSender(vapid)


def handle(event: Event) -> None:
    call(db, sender, event)


handler = consumer(handle)
