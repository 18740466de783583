"""Events: the outbox, the bus, what consumers share, and the realtime feed."""
