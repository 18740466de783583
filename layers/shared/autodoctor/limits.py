"""How often one user may do something.

A limit is a row of `limits` (sql/0001_foundation.sql): `most` at once, and as many more in `seconds`, one after the
other. It is counted by `count_against('NAME', %(user_id)s)` within the statement that it limits, so it costs no trip to
the database, and what fails or is rolled back is not counted. `Database` turns the refusal into TooManyRequests, which
the route states in `raises`.
"""

from typing import Final

import psycopg

from autodoctor.errors import TooManyRequests

USED_UP: Final = "AD007"
"""SQLSTATE of count_against()."""


def too_many_requests(refusal: psycopg.Error) -> TooManyRequests:
    """The problem that a refusal by count_against() is answered as."""
    limit, seconds = refusal.diag.constraint_name, refusal.diag.message_detail
    return TooManyRequests(limit or "", int(seconds or 1))
