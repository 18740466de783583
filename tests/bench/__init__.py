"""`autodoctor bench`: counts that CI gates on, and timings against a floor and peers on the same machine."""
