"""The commands of the local cloud: dev, demo, feed, token, invoke."""
