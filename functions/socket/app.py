"""WebSocket routes $connect (with ?ticket= and perhaps &since=), $disconnect, and $default, which keeps it open"""

from autodoctor.db import database
from autodoctor.events.feed import sockets
from autodoctor.room.tell import Teller
from autodoctor.settings import required

required("FEED_QUEUE_URL")
db = database()
handler = sockets.handler(db, Teller(db).left)
