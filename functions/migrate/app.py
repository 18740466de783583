"""Invoked by a deployment: brings the schema up to date as the owner of the database"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from autodoctor.migrations import migrate
from autodoctor.observability import logger
from autodoctor.settings import database_url


@logger.inject_lambda_context
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, list[str]]:
    applied = migrate(database_url())
    logger.info("migrated", extra={"applied": applied})
    return {"applied": applied}
