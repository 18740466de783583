"""Invoked by a deployment: brings the schema up to date as the owner, and lets the application's role log in."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from autodoctor.aws.secrets import application_login, database_url
from autodoctor.migrations import migrate
from autodoctor.migrations.login import let_in
from autodoctor.observability import logger


@logger.inject_lambda_context
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, list[str]]:
    url = database_url()
    applied = migrate(url)
    if login := application_login():
        let_in(url, *login)
    logger.info("migrated", extra={"applied": applied})
    return {"applied": applied}
