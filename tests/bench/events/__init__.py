"""What events, the relay and the feed cost."""
