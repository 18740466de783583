"""A function as a custom resource of CloudFormation: it works when a stack is made or changed, and always answers.

Without an answer CloudFormation waits until the resource's time-out, and a stack that is being deleted stays. The
rules: docs.aws.amazon.com/AWSCloudFormation, "Custom resource reference".
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from autodoctor.aws.errors import ServiceRefused, ServiceUnreachable
from autodoctor.aws.http_client import HttpConnection
from autodoctor.observability import log_failure

_ANSWER_SECONDS: Final = 10.0
_OK: Final = 200


def is_request(event: Mapping[str, Any]) -> bool:
    """Whether CloudFormation sent this event and waits for an answer."""
    return "ResponseURL" in event and "RequestType" in event


def answer(request: Mapping[str, Any], work: Callable[[], object]) -> None:
    """Do the work, unless the resource is being deleted, and tell CloudFormation how it ended.

    A failure of the work is logged and answered, not raised: Lambda would run it again, three times in all, while the
    stack has been told already.

    Args:
        request: CloudFormation's event.
        work: what making and changing the resource means.

    Raises:
        ServiceRefused: the address for the answer refused it.
        ServiceUnreachable: it did not take it; Lambda then repeats the event, so the work must bear a repetition.
    """
    failure = _failure_of(work) if request["RequestType"] != "Delete" else None
    outcome = {"Status": "SUCCESS"} if failure is None else {"Status": "FAILED", "Reason": failure}
    echoed = {name: request[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    # One name for good: with another one CloudFormation would delete the resource of the old name.
    _put(request["ResponseURL"], {**outcome, **echoed, "PhysicalResourceId": request["LogicalResourceId"]})


def _failure_of(work: Callable[[], object]) -> str | None:
    try:
        work()
    except Exception as failure:  # noqa: BLE001 (whatever it is, CloudFormation waits for an answer)
        log_failure("custom resource failed", failure)
        return f"{type(failure).__name__}; the log of the function has the rest"
    return None


def _put(url: str, document: Mapping[str, str]) -> None:
    """Send the answer; the address is signed for a body without a content type."""
    parts = urlsplit(url)
    connection = HttpConnection(f"{parts.scheme}://{parts.netloc}")
    try:
        taken = connection.request(
            "PUT",
            f"{parts.path}?{parts.query}",
            {"Host": connection.host},
            json.dumps(document).encode(),
            timeout_seconds=_ANSWER_SECONDS,
        )
    except OSError as failure:
        raise ServiceUnreachable("cloudformation") from failure
    finally:
        connection.close()
    if taken.status != _OK:
        raise ServiceRefused("cloudformation", "PutResponse", taken.status)
