"""People in a room: over HTTP and WebSocket, as a page does it."""
