"""Records every event in a notebook, and obeys the query string or the message."""

import json
import os
import time
from pathlib import Path
from typing import Any


def handler(event: dict[str, Any], _context: object) -> object:
    """Note the event; then answer with `status`, sleep, raise, exit, or answer something malformed."""
    if event.get("look"):
        return {name: os.environ[name] for name in ("WEBSOCKET_URL", "WEBSOCKET_ENDPOINT")}
    with Path(os.environ["NOTEBOOK"]).open("a", encoding="utf-8") as notebook:
        notebook.write(json.dumps(event) + "\n")
    order = event.get("queryStringParameters") or _order(event)
    time.sleep(float(order.get("sleep", 0)))
    if "raise" in order:
        raise ValueError(order["raise"])
    if "exit" in order:
        os._exit(3)
    if "malformed" in order:
        return "no statusCode"
    return {"statusCode": int(order.get("status", 200)), "body": "not for the client"}


def _order(event: dict[str, Any]) -> dict[str, Any]:
    try:
        order = json.loads(event.get("body") or "{}")
    except ValueError:
        return {}
    return order if isinstance(order, dict) else {}
