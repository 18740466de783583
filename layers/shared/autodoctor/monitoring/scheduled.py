"""What every scheduled function does around its work: log, metrics, a record of the run, and a limit in time."""

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from autodoctor.db import Database
from autodoctor.deadline import SecondsLeft
from autodoctor.monitoring.runs import recorded_run
from autodoctor.observability import logger, metrics

type Result = dict[str, Any]
type Work = Callable[[SecondsLeft], Result]
type Handler = Callable[[Mapping[str, Any], LambdaContext], Result]


def scheduled(database: Database, name: str) -> Callable[[Work], Handler]:
    """Make a Lambda handler of the work of a schedule; what the work returns is logged and is the answer.

    Args:
        database: where the run is recorded.
        name: of the schedule, as in `runs.EVERY_SECONDS`.
    """

    def decorate(work: Work) -> Handler:
        @metrics.log_metrics
        @logger.inject_lambda_context(clear_state=True)
        @recorded_run(database, name)
        def handler(_event: Mapping[str, Any], context: LambdaContext) -> Result:
            result = work(lambda: context.get_remaining_time_in_millis() / 1000)
            logger.info("schedule done", extra={"schedule": name, "result": result})
            return result

        return handler

    return decorate
