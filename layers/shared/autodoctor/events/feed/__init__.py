"""The realtime feed: WebSocket connections, and which messages an event becomes for whom."""
