"""API Gateway on one machine: the HTTP API and the WebSocket API."""
