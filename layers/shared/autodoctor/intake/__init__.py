"""From a customer's request to a session with an assignment, signed and paid."""
