"""The tests find what they are there for: with a mistake planted in a copy of the layer, the test that it names fails.

The copy is a checkout without history; the one that is worked in is never edited. `-s` prints how many were planted and
how many were caught.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from support.faults.planted_bugs import BUGS, Bug

ROOT: Final = Path(__file__).parents[2]
LAYER: Final = Path("layers/shared/autodoctor")
FAILED, PASSED = 1, 0
PATIENCE_SECONDS: Final = 300


@dataclass
class Nursery:
    """A copy of the checkout, what was planted in it, and what was caught."""

    folder: Path
    planted: list[str] = field(default_factory=list)
    caught: list[str] = field(default_factory=list)

    def outcome(self, test: str) -> tuple[int, str]:
        """Run a test of the copy, until its first failure: pytest's exit status, and what it printed."""
        paths = os.pathsep.join(str(self.folder / each) for each in ("layers/shared", "tests"))
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-n", "0", "-q", "-x", "-p", "no:cacheprovider", f"tests/{test}"],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return done.returncode, done.stdout


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    folder = tmp_path_factory.mktemp("planted") / "checkout"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.rstrip("\0").split("\0"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    nursery = Nursery(folder)
    yield nursery
    print(f"\nbugs planted {len(nursery.planted)}, caught {len(nursery.caught)}")


def test_every_bug_can_be_planted() -> None:
    """Whoever edits one of these places has its line here to mend; there are at least forty."""
    for name, bug in BUGS.items():
        assert bug.right in (ROOT / LAYER / bug.file).read_text(), name
        assert bug.right != bug.wrong, name
        file, _, test = bug.test.partition("::")
        assert f"def {test}(" in (ROOT / "tests" / file).read_text(), name
    assert len(BUGS) >= 40


@pytest.mark.slow
@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_caught_by_the_test_it_names(nursery: Nursery, name: str) -> None:
    bug: Bug = BUGS[name]
    file = nursery.folder / LAYER / bug.file
    right = file.read_text()
    nursery.planted.append(name)
    file.write_text(right.replace(bug.right, bug.wrong, 1))
    try:
        status, printed = nursery.outcome(bug.test)
    finally:
        file.write_text(right)
    assert status == FAILED, printed
    nursery.caught.append(name)


@pytest.mark.slow
def test_without_a_bug_these_tests_pass(nursery: Nursery) -> None:
    for test in sorted({bug.test for bug in BUGS.values()}):
        status, printed = nursery.outcome(test)
        assert status == PASSED, printed
