"""The AWS account on one machine, and the `autodoctor` command."""
