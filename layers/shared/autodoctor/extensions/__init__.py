"""More minutes for a talk that is live: asked for by its customer, agreed by its mechanic, paid by credits or card."""
