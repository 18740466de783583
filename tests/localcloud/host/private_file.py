"""Files that hold names, addresses or secrets: their owner alone may read them, in a folder that others may enter."""

import os


def private(path: str, flags: int) -> int:
    """Open for `open(opener=)`; a file that was there before becomes private too."""
    descriptor = os.open(path, flags, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor
