"""Runs one function on one event in this very process, on the terminal it was started from: a breakpoint works.

Run as `python -S -P debugger.py app.handler event.json`, in the function's surroundings like every worker. Nothing ends
it: there is no Runtime API, and no time limit.
"""

import importlib
import json
import os
import sys
import time
import uuid
from pathlib import Path

_LEFT_SECONDS = 900


def main() -> None:
    """Call the handler named by the first argument on the event in the file named by the second; print its answer."""
    from awslambdaric.lambda_context import LambdaContext  # noqa: PLC0415 - on the function's path, not on ours

    module, _, name = sys.argv[1].rpartition(".")
    event = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    ends = int((time.time() + _LEFT_SECONDS) * 1000)
    context = LambdaContext(str(uuid.uuid4()), {}, {}, ends, os.environ["AWS_LAMBDA_FUNCTION_NAME"])
    answer = getattr(importlib.import_module(module), name)(event, context)
    print(json.dumps(answer, indent=2, default=str))


if __name__ == "__main__":
    main()
