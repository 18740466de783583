"""WebSocket routes room (enter a session's room) and typing"""

from autodoctor.db import database
from autodoctor.room.sockets import RoomSockets

handler = RoomSockets(database()).handler()
