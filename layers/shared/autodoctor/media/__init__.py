"""The call: what carries sound and picture between the two parties of a session, and what it says of who was there."""
