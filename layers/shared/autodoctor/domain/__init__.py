"""The business rules as pure functions of plain values: no clock, no database, no import of another package of ours."""
