"""First module of a worker that is debugged: opens the debugger's port, then is a worker like any other (launcher.py).

The adapter runs in this process: nothing is left behind when it ends, and the port is free for the next one.
"""

import os
import runpy
from importlib import import_module
from pathlib import Path


def main() -> None:
    """Listen on this machine alone, then run the handler named by the first argument."""
    address = ("127.0.0.1", int(os.environ.pop("AUTODOCTOR_DEBUG_PORT")))
    import_module("debugpy").listen(address, in_process_debug_adapter=True)  # on the function's path, not on ours
    runpy.run_path(str(Path(__file__).with_name("launcher.py")), run_name="__main__")


if __name__ == "__main__":
    main()
