"""SQS queue of the feed: pushes what happened to the connections that may see it"""

from autodoctor.db import database
from autodoctor.events.feed import broadcast
from autodoctor.settings import required

required("WEBSOCKET_ENDPOINT")
handler = broadcast.handler(database())
