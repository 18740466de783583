"""The floor of a cold start: AWS's runtime client, psycopg, one connection, one statement."""

import os
from typing import Any

import psycopg

connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 (Lambda's signature)
    """Answer 200 with what the database said."""
    row = connection.execute("SELECT 'ok'").fetchone()
    assert row is not None
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": f'{{"answer": "{row[0]}"}}'}
