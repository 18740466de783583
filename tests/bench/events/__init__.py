"""The cost of events, the relay and the feed."""
