"""Logger and metrics of every function: counting, and logging a failure without the personal data in its message."""

import logging
import os
import traceback
from collections.abc import Mapping
from typing import Final

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit, single_metric

from autodoctor.aws.errors import AwsError

logger = Logger(utc=True, use_rfc3339=True)  # Lambda reads the level only of a line whose time it understands
metrics = Metrics()

_LEVELS: Final[Mapping[str, int]] = {
    "TRACE": logging.DEBUG,  # Python has nothing below
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
}
# Past powertools, which sets Lambda's own level whatever it is told, and of TRACE makes the root logger's.
if _level := os.environ.get("APPLICATION_LOG_LEVEL"):
    logging.getLogger(logger.name).setLevel(_LEVELS[_level])

logging.getLogger("botocore").setLevel(logging.WARNING)  # at each cold start it says where it found credentials

MOST_CAUSES: Final = 5
"""Of the exceptions of a group so many are logged: what fails for many rows mostly fails for one reason."""

__all__ = ["MetricUnit", "count", "log_failure", "logger", "metrics", "single_metric"]


def log_failure(event: str, failure: BaseException) -> None:
    """Log a failure's type and traceback, without its message, which may quote input.

    psycopg, for one, repeats whole rows in `DETAIL`. Beside type and frames only codes are logged: those of PostgreSQL,
    or the service, action, status and code of an AwsError. Of a group of exceptions the first few are logged so too.

    Args:
        event: what was being done, in a few words.
        failure: the exception.
    """
    logger.error(event, extra=_diagnosis(failure))


def _diagnosis(failure: BaseException) -> dict[str, object]:
    parts = failure.exceptions[:MOST_CAUSES] if isinstance(failure, BaseExceptionGroup) else ()
    return {
        "error": type(failure).__name__,
        "sqlstate": getattr(failure, "sqlstate", None),
        "constraint": getattr(getattr(failure, "diag", None), "constraint_name", None),
        **({"aws": vars(failure)} if isinstance(failure, AwsError) else {}),
        "frames": [line.strip() for line in traceback.format_tb(failure.__traceback__)],
        **({"causes": [_diagnosis(each) for each in parts]} if parts else {}),
    }


def count(metric: str, value: int = 1) -> None:
    """Add to a metric at once; never raises, as what is counted has been done, and its caller must hear so.

    Args:
        metric: its name.
        value: how many.
    """
    try:
        metrics.add_metric(name=metric, unit=MetricUnit.Count, value=value)
        metrics.flush_metrics()
    except Exception as failure:  # noqa: BLE001 (logged; a count that is missing undoes nothing)
        log_failure("not counted", failure)
