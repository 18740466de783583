"""What the API says of itself: OpenAPI, AsyncAPI, and a page for every type of problem. No handler imports this."""
