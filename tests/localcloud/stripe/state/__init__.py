"""The stand-in's memory and the webhooks that follow from it."""
