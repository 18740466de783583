"""The layer of the tests' stack."""

GREETING = "hello"
