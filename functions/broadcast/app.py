"""Consumer of the feed's SQS queue: pushes events to the connections that may see them"""

from autodoctor.db import database
from autodoctor.events.feed import broadcast
from autodoctor.settings import required

required("WEBSOCKET_ENDPOINT")
handler = broadcast.handler(database())
