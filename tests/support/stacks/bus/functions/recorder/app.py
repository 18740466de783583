"""Records its events, and fails when the notebook's folder says so."""

import json
import os
import time
from pathlib import Path
from typing import Any

NOTEBOOK = Path(os.environ["NOTEBOOK"])
FAILURES = NOTEBOOK.with_name("failures.json")


def handler(event: dict[str, Any], _context: object) -> object:
    wishes = json.loads(FAILURES.read_text()) if FAILURES.exists() else {}
    note({"pid": os.getpid(), "records": event["Records"]})
    time.sleep(wishes.get("seconds", 0))
    if wishes.get("raise"):
        raise RuntimeError("told to fail")
    if wishes.get("die"):
        os._exit(3)
    failed = [record["messageId"] for record in event["Records"] if name(record) in wishes.get("names", [])]
    return wishes.get("answer", {"batchItemFailures": [{"itemIdentifier": each} for each in failed]})


def name(record: dict[str, Any]) -> object:
    body = json.loads(record["body"])
    return body.get("detail", body).get("name")


def publish(event: dict[str, Any], _context: object) -> object:
    import boto3  # noqa: PLC0415 - as a function that sends does

    entry = {"Source": "shop", "EventBusName": os.environ["EVENT_BUS_NAME"], **event}
    boto3.client("sqs").send_message(QueueUrl=os.environ["QUEUE_URL"], MessageBody="from a worker")
    return boto3.client("events").put_events(Entries=[entry])["FailedEntryCount"]


def sweep(event: dict[str, Any], _context: object) -> object:
    if FAILURES.exists():
        raise RuntimeError("the sweep failed")
    note({"event": event})
    return "swept"


def note(entry: object) -> None:
    with NOTEBOOK.open("a") as file:
        file.write(json.dumps(entry) + "\n")
