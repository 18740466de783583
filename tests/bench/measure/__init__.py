"""How the bench measures: counts, processor time, noise, and the report."""
