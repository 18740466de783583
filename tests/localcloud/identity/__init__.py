"""Cognito on one machine: issuer, sign-in, people."""
