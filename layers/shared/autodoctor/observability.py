"""Logger and metrics of every function, and a way to log a failure without the personal data in its message."""

import traceback

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit, single_metric

logger = Logger(utc=True)
metrics = Metrics()

__all__ = ["MetricUnit", "log_failure", "logger", "metrics", "single_metric"]


def log_failure(event: str, failure: BaseException) -> None:
    """Log where and as what a failure arose.

    The message of an exception may quote input (psycopg repeats whole rows in `DETAIL`), so only the
    type, the frames and what PostgreSQL says in general terms are logged.

    Args:
        event: what was being done, in a few words.
        failure: the exception.
    """
    diagnosis = getattr(failure, "diag", None)
    logger.error(
        event,
        extra={
            "error": type(failure).__name__,
            "sqlstate": getattr(failure, "sqlstate", None),
            "constraint": getattr(diagnosis, "constraint_name", None),
            "frames": [line.strip() for line in traceback.format_tb(failure.__traceback__)],
        },
    )
