"""The database's cost of each call, beside its floors and peers."""
