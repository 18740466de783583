"""Functions that wait at a debugger's port: `AUTODOCTOR_DEBUG=PlansFunction:5678,AcceptFunction:5679 autodoctor dev`.

An editor attaches to 127.0.0.1 and that port (Debug Adapter Protocol) as long as the function's process lives.
"""

import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from localcloud.compute.environment import Launch, linked_packages
from localcloud.stack.template import FunctionSpec

VARIABLE: Final = "AUTODOCTOR_DEBUG"
PORT_VARIABLE: Final = "AUTODOCTOR_DEBUG_PORT"
_DEBUGGER: Final = "debugpy"
_LAUNCHER: Final = Path(__file__).with_name("debugged.py")
_PATIENCE_SECONDS: Final = 3600.0
_LEAST_PORT: Final = 1024
_MOST_PORT: Final = 65535


class BadDebugPorts(Exception):
    """What AUTODOCTOR_DEBUG says cannot be done. The message says why, and what to write."""


def debug_ports(functions: Iterable[str]) -> dict[str, int]:
    """The port of each function that is to be debugged, by its logical id; raises BadDebugPorts."""
    known: set[str] = set(functions)
    found: dict[str, int] = {}
    for part in filter(None, (each.strip() for each in os.environ.get(VARIABLE, "").split(","))):
        name, _, port = part.partition(":")
        if not (port.isascii() and port.isdecimal() and _LEAST_PORT <= int(port) <= _MOST_PORT):
            raise BadDebugPorts(f"{VARIABLE}: {part!r} is not a function and a port, such as PlansFunction:5678")
        if name not in known:
            raise BadDebugPorts(f"{VARIABLE}: there is no function {name}; there are {', '.join(sorted(known))}")
        if int(port) in found.values():
            raise BadDebugPorts(f"{VARIABLE}: two functions cannot share the port {port}")
        found[name] = int(port)
    if found and find_spec(_DEBUGGER) is None:
        raise BadDebugPorts(f"{VARIABLE} needs {_DEBUGGER}: uv run --with {_DEBUGGER} autodoctor dev")
    return found


def behind(port: int | None, spec: FunctionSpec, launch: Launch, packages: Path) -> tuple[FunctionSpec, Launch]:
    """The same function behind a debugger's port, and with an hour for each event; unchanged where `port` is None."""
    if port is None:
        return spec, launch
    path = (launch.environment["PYTHONPATH"], str(linked_packages(packages, [Requirement(_DEBUGGER)])))
    environment = {**launch.environment, "PYTHONPATH": os.pathsep.join(path), PORT_VARIABLE: str(port)}
    command = (sys.executable, "-S", "-P", "-Xfrozen_modules=off", str(_LAUNCHER), spec.handler)
    return replace(spec, timeout_seconds=_PATIENCE_SECONDS), replace(
        launch, command=command, environment=environment, forked=False
    )
