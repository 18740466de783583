"""What operators run against a database: their commands and what those do."""
