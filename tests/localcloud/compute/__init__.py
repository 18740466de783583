"""AWS Lambda on one machine."""
