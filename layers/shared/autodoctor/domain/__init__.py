"""The rules of the house as pure functions and plain values: no clock, no database, nothing of ours imported."""
