"""Stripe's own SDK, loaded when it is first needed: half a second of processor time.

Its modules need each other in circles, so that two threads that load different ones at once both fail.
"""

import importlib
import threading
from types import ModuleType

_loading = threading.Lock()


def sdk(module: str = "stripe") -> ModuleType:
    """Return a module of the SDK; from any thread, best not from an event loop's."""
    with _loading:
        importlib.import_module("stripe")
        return importlib.import_module(module)
