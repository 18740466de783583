"""Invoked by every deployment: brings the schema up to date as the owner, and lets the application's role log in.

With {"check": true} it only says what it would apply.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from autodoctor.aws.secrets import application_login, database_url
from autodoctor.migrations import custom_resource, migrate, pending
from autodoctor.migrations.login import let_in
from autodoctor.observability import logger


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, list[str]] | None:
    if custom_resource.is_request(event):
        custom_resource.answer(event, up_to_date)
        return None
    if event.get("check"):
        return {"pending": pending(database_url())}
    return {"applied": up_to_date()}


def up_to_date() -> list[str]:
    url = database_url()
    applied = migrate(url)
    if login := application_login():
        let_in(url, *login)
    logger.info("migrated", extra={"applied": applied})
    return applied
