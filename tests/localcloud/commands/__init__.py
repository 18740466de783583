"""What `autodoctor` does on one machine: dev, demo, feed, token, invoke."""
