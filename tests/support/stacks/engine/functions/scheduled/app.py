"""Records every call in a notebook, and fails the first few of them."""

import json
import os
from pathlib import Path
from typing import Any, Protocol


class Context(Protocol):
    """The part of Lambda's context that we use."""

    aws_request_id: str


def handler(event: dict[str, Any], context: Context) -> None:
    """Append the request id to the notebook; raise while it holds no more than FAILURES lines."""
    notebook = Path(event["notebook"])
    with notebook.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"id": context.aws_request_id}) + "\n")
    if len(notebook.read_text(encoding="utf-8").splitlines()) <= int(os.environ["FAILURES"]):
        raise RuntimeError("not yet")
