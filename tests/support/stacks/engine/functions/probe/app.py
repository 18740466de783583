"""Obeys its event, so that a test can see how the local cloud reacts."""

import json
import os
import sys
import time
from typing import Any, Protocol

from common import GREETING  # type: ignore[import-not-found] # the layer, on the path of a worker only


class Context(Protocol):
    """The part of Lambda's context that we use."""

    def get_remaining_time_in_millis(self) -> int: ...


_state = {"calls": 0}


def handler(event: dict[str, Any], context: Context) -> object:
    """Do `do` of a direct event, or of the JSON body of a request, and answer with what was seen."""
    _state["calls"] += 1
    order = event if "do" in event else _order(event)
    match order.get("do"):
        case "sleep":
            print(order.get("text", "asleep"))
            time.sleep(order["seconds"])
        case "exit":
            os._exit(order["code"])
        case "raise":
            raise ValueError(order["message"])
        case "print":
            print(order["text"])
        case "answer":
            return order["answer"]
        case "look":
            return {"environment": dict(os.environ), "path": sys.path, "modules": sorted(sys.modules)}
    seen = {
        "calls": _state["calls"],
        "pid": os.getpid(),
        "greeting": GREETING,
        "remaining": context.get_remaining_time_in_millis(),
        "event": event,
    }
    if "requestContext" not in event:
        return seen
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(seen)}


def _order(event: dict[str, Any]) -> dict[str, Any]:
    try:
        order = json.loads(event.get("body") or "{}")
    except ValueError:
        return {}
    return order if isinstance(order, dict) else {}
