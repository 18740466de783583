"""Proves on live data that the invariants hold, and repairs what has one right answer."""
