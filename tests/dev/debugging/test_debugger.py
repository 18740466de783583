"""`autodoctor invoke --debug`: a breakpoint in a function stops on the terminal, and the function goes on after it."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

from localcloud.compute import debugger

FUNCTION = """
def handler(event, context):
    price = event["price"]
    breakpoint()
    return {"price": price, "left": context.get_remaining_time_in_millis() > 0}
"""


def test_a_breakpoint_stops_and_the_answer_follows(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(FUNCTION, encoding="utf-8")
    (tmp_path / "event.json").write_text('{"price": 999}', encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-S", "-P", str(Path(debugger.__file__)), "app.handler", str(tmp_path / "event.json")],
        input="p price\nprice = 1\ncontinue\n",
        env={
            "LAMBDA_TASK_ROOT": str(tmp_path),
            "AWS_LAMBDA_FUNCTION_NAME": "PlansFunction",
            "PYTHONPATH": str(metadata.distribution("awslambdaric").locate_file("")),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "(Pdb) 999" in done.stdout
    assert done.stdout.rstrip().endswith('{\n  "price": 1,\n  "left": true\n}')
