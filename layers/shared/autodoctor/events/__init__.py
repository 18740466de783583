"""Events: the outbox, the bus, the shared parts of consumers, and the realtime feed."""
