"""A small web application's files as they are served: its pages name the rest by an address that changes with it.

So a browser keeps that rest for good, and loads a page again with one call, while a deployment still reaches everybody
at once: the pages themselves are asked for each time. They also name every module that their script imports, so that
a browser asks for all of them at once instead of one generation after the other.
"""

import hashlib
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
}
_VERSION_DIGITS: Final = 16
_SCRIPT: Final = re.compile(r'<script type="module" src="(?P<name>[^"]+)"></script>')
_IMPORT: Final = re.compile(
    r"""^\s*(?:import|export)\s+(?:[\w$*{},\s]+?\s+from\s+)?["'](?P<name>\.\.?/[^"']+)["']""", re.MULTILINE
)
_END_OF_HEAD: Final = "  </head>"


@dataclass(frozen=True, slots=True)
class Pages:
    """The files by name, and where their present version is.

    Attributes:
        files: each file's text by its path below the folder.
        version: changes with any of them.
    """

    files: Mapping[str, str]
    version: str

    def named(self, address: str) -> tuple[str, bool]:
        """Return the file's name for an address below the application's, and whether it may be kept for good."""
        if not address.startswith("v/"):
            return address, False
        version, _, name = address.removeprefix("v/").partition("/")
        return name, version == self.version


def read(folder: Path, root: str) -> Pages:
    """Read every file: only what is listed here can ever be answered.

    Args:
        folder: where they are.
        root: the path under which the application is served, as its pages have it, without a slash at the end.
    """
    files = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.suffix in TYPES
    }
    digest = hashlib.sha256()
    for name, text in files.items():
        digest.update(f"{name}\0{text}\0".encode())
    version = digest.hexdigest()[:_VERSION_DIGITS]
    named = {
        name: _versioned(text, files, root, f"{root}/v/{version}") if name.endswith(".html") else text
        for name, text in files.items()
    }
    return Pages(named, version)


def _versioned(page: str, files: Mapping[str, str], root: str, versioned: str) -> str:
    """The page with the addresses of this version, and all modules that its scripts import."""
    scripts = [each["name"].removeprefix(f"{root}/") for each in _SCRIPT.finditer(page)]
    preloads = "".join(f'    <link rel="modulepreload" href="{root}/{name}">\n' for name in _imported(scripts, files))
    whole = page.replace(_END_OF_HEAD, preloads + _END_OF_HEAD, 1)
    return re.sub(rf'(?<=="){re.escape(root)}(?=/(?:css|js)/)', versioned, whole)


def _imported(scripts: list[str], files: Mapping[str, str]) -> list[str]:
    """What these modules import, and what that imports, in the order in which a browser would find it."""
    found = list(scripts)
    for name in found:
        for each in _IMPORT.finditer(files.get(name, "")):
            imported = posixpath.normpath(posixpath.join(posixpath.dirname(name), each["name"]))
            if imported not in found:
                found.append(imported)
    return found[len(scripts) :]
