"""Functions that ours are compared with when they start: the floor, and the same two operations the usual way."""
