"""Contests: a customer says that a session was not worth its price, and an admin decides where its money goes."""
