"""What verify looks for where money is concerned, one module a subject."""
