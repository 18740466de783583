"""WebSocket routes $connect (with ?ticket= and perhaps &since=), $disconnect, and $default, which keeps it open"""

from autodoctor.db import database
from autodoctor.events.feed import sockets
from autodoctor.settings import required

required("FEED_QUEUE_URL")
handler = sockets.handler(database())
