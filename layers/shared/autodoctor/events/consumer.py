"""How a queue's consumer handles a batch: one event at a time, and SQS delivers only those that failed again."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from autodoctor.events.model import Event, parse_event
from autodoctor.events.redelivery import come_again
from autodoctor.observability import log_failure, logger

type BatchAnswer = dict[str, list[dict[str, str]]]


type ConsumerHandler = Callable[[Mapping[str, Any], LambdaContext], BatchAnswer]


def consumer(handle: Callable[[Event], None]) -> ConsumerHandler:
    """The Lambda handler of a consumer behind an SQS queue that a rule of the bus fills.

    Args:
        handle: takes one event; must be idempotent on its `event_id`.
    """
    return envelope_consumer(lambda envelope: handle(parse_event(envelope)))


def not_done(records: Sequence[Mapping[str, Any]]) -> BatchAnswer:
    """The partial-batch answer for these records, which come again within seconds."""
    come_again(records)
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in records]}


def envelope_consumer(handle: Callable[[Mapping[str, Any]], None]) -> ConsumerHandler:
    """The Lambda handler of a consumer of other events, such as those of an AWS service.

    An event whose handling raises is reported in the partial-batch answer, so that SQS delivers it again within seconds
    and finally moves it to the dead-letter queue; the others of its batch are done.

    Args:
        handle: takes one EventBridge envelope; must be idempotent.
    """

    def handle_batch(batch: Mapping[str, Any], _context: LambdaContext) -> BatchAnswer:
        failed: list[Mapping[str, Any]] = []
        for record in batch["Records"]:
            logger.set_correlation_id(record["messageId"])
            try:
                handle(json.loads(record["body"]))
            except Exception as failure:  # noqa: BLE001 (reported to SQS, which keeps the message; logged here)
                log_failure("event not handled", failure)
                failed.append(record)
        return not_done(failed)

    return logger.inject_lambda_context(clear_state=True)(handle_batch)
