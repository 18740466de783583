"""What a call costs the database, beside its floors and peers."""
