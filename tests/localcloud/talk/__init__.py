"""Users of a running server, in a terminal: their API and WebSocket, and the room of a session."""
