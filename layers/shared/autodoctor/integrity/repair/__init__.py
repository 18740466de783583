"""Puts right what has one right answer."""
