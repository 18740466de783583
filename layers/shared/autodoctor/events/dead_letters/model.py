"""A message of a dead-letter queue, and why it is there: SQS, EventBridge and Lambda each write their own form."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

type Origin = Literal["queue", "rule", "schedule", "function", "unknown"]

# The members of an event that may be shown: ids and facts, never a person's words or name.
_SHOWN_IN_DETAIL = ("eventId", "sessionId", "assignmentId", "payoutId")
# The longest name of an event's type on a bus (PutEvents, docs.aws.amazon.com/eventbridge). A queue takes anything.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:/-]{0,127}")


@dataclass(frozen=True)
class DeadLetterMessage:
    """One message.

    Attributes:
        message_id: SQS's id of it.
        receipt: the handle with which it is deleted or released.
        received: how often it was received, which includes being listed.
        sent_at: when it was sent, UTC; in a standard queue the time of the event.
        origin: the failed part: a consumer of a queue, the delivery of a rule or schedule, or a function's retries.
        target: the ARN of the queue or function to send it to again; empty where it is unknown.
        payload: the message to send there.
        error: the kind of failure; empty where only the consumer's log has it.
        facts: ids and kinds that may be shown, by name.
        rule: the ARN of the rule that it comes from, or empty.
    """

    message_id: str
    receipt: str
    origin: Origin
    sent_at: datetime
    received: int
    target: str
    payload: str
    error: str
    facts: Mapping[str, str]
    rule: str = ""

    def __str__(self) -> str:
        """One line, without personal data."""
        facts = " ".join(f"{name}={value}" for name, value in self.facts.items())
        why = self.error or "its consumer failed, see the function's log"
        return f"{self.sent_at:%Y-%m-%d %H:%M:%S}Z {self.origin:<8} {self.message_id} {facts} ({why})"


def parse_message(message: Mapping[str, Any]) -> DeadLetterMessage:
    """Read a message as ReceiveMessage gives it with all its attributes."""
    system: Mapping[str, str] = message["Attributes"]
    own = {name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()}
    body = _parsed(message["Body"])
    context = body.get("requestContext")
    origin: Origin = "unknown"
    target, payload, error = "", message["Body"], ""
    if "DeadLetterQueueSourceArn" in system:
        origin, target = "queue", system["DeadLetterQueueSourceArn"]
    elif "RULE_ARN" in own or "SCHEDULE_ARN" in own:
        origin = "rule" if "RULE_ARN" in own else "schedule"
        target, error = own.get("TARGET_ARN", ""), _name(own.get("ERROR_CODE")) or ""
    elif isinstance(context, dict):
        origin, target = "function", str(context.get("functionArn", "")).removesuffix(":$LATEST")
        payload, error = json.dumps(body.get("requestPayload")), _failure(body, context)
        body = {}
    return DeadLetterMessage(
        message_id=message["MessageId"],
        receipt=message["ReceiptHandle"],
        origin=origin,
        sent_at=datetime.fromtimestamp(int(system["SentTimestamp"]) / 1000, UTC),
        received=int(system.get("ApproximateReceiveCount", "0")),
        target=target,
        payload=payload,
        error=error,
        facts=_facts(body, target),
        rule=own.get("RULE_ARN", ""),
    )


def _failure(body: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    """The kind of a function's failure; its message may name people."""
    answer = body.get("responsePayload")
    kind = answer.get("errorType") if isinstance(answer, dict) else None
    return f"{_name(context.get('condition')) or ''} {_name(kind) or ''}".strip()


def _facts(body: Mapping[str, Any], target: str) -> dict[str, str]:
    detail = body.get("detail")
    facts = {"type": body.get("detail-type"), "event": body.get("id")}
    if isinstance(detail, dict):
        facts |= {name: detail.get(name) for name in _SHOWN_IN_DETAIL}
    facts["target"] = target.rpartition(":")[2]
    return {name: shown for name, value in facts.items() if (shown := _name(value))}


def _name(value: object) -> str | None:
    """A name or an id; None for anything else, which may be long, or somebody's words."""
    return value if isinstance(value, str) and _NAME.fullmatch(value) else None


def _parsed(text: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
