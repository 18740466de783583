"""What a consultation costs: it is counted, and its table in README.md follows from the count and a file of prices."""
