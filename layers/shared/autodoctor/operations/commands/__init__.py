"""One module per command: its options, its output and its exit status. The work is done elsewhere."""
