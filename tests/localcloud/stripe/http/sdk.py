"""Stripe's own SDK, loaded when it is first needed, which takes half a second of processor time.

Its modules import each other in cycles, so that two threads that load different ones at once both fail.
"""

import importlib
import threading
from types import ModuleType

_loading = threading.Lock()


def sdk(module: str = "stripe") -> ModuleType:
    """Return a module of the SDK. Any thread may call it; an event loop's would block."""
    with _loading:
        importlib.import_module("stripe")
        return importlib.import_module(module)
