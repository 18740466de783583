"""What verify looks for, one module a subject."""
