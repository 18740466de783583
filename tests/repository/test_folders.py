"""A folder is taken in at one look: what would be more stands in folders by subject."""

import subprocess
from collections import Counter
from pathlib import Path, PurePath
from typing import Final

ROOT: Final = Path(__file__).parents[2]
MOST: Final = 15
MADE: Final = frozenset({".git", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"})
"""Folders that tools make, none of which git has."""


def test_no_folder_has_more_than_fifteen_files_side_by_side() -> None:
    folders = Counter(file.parent.as_posix() for file in files())
    assert folders["tests/repository"] > 1
    assert {folder: count for folder, count in folders.items() if count > MOST} == {}


def files() -> list[PurePath]:
    """Every file that git has, from the root; of an archive without its history, every file."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        found = [file.relative_to(ROOT) for file in ROOT.rglob("*") if file.is_file()]
        return [file for file in found if MADE.isdisjoint(file.parts)]
    return [PurePath(name) for name in listed.split("\0") if name]
