"""`autodoctor bench`: hands over to tests/bench, which is not part of the installed package."""

import subprocess
import sys
from collections.abc import Sequence


def run(arguments: Sequence[str]) -> int:
    """Run the bench with its own options and return its exit code."""
    done = subprocess.run([sys.executable, "-m", "bench", *arguments], check=False)
    return done.returncode
