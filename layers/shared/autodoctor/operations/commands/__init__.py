"""One module a command: its options, what it prints and its exit status. The work is done elsewhere."""
