"""References in the repository's text exist: documents, their anchors, files and modules."""

import io
import re
import subprocess
import tokenize
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = {"autodoctor": "layers/shared/autodoctor", "localcloud": "tests/localcloud"}
TEXTS: Final = frozenset({".md", ".py", ".sql", ".yaml", ".js", ".css", ".html", ".toml"})
EXAMPLES: Final = frozenset({"your-page.js"})

LINK: Final = re.compile(r"\]\((?!\w+:)([^)\s]+)\)")
IN_BACKTICKS: Final = re.compile(r"`((?:functions|layers|tests|\.ci)/[^`\s]*)`")
DOCUMENT: Final = re.compile(r"(?<![\w/.(-])((?:[\w.-]+/)*[A-Z][\w-]*\.md(?:#[\w-]+)?)")
FILE: Final = re.compile(r"(?<![\w/:$*{}<>.-])((?:[\w-]+/)*[\w-]+\.(?:py|sql|yaml|js|html|css))\b(?![/(.-])")
MODULE: Final = re.compile(r"(?<![\w./-])((?:autodoctor|localcloud)(?:\.[a-z_]\w*)+)")
ABSENT: Final = re.compile(
    r"\b(?:of|in|by) the design\b|\bthe design (?:says|asks|demands|wants)|\bdesign,? section"
    r"|\bshared/(?:design|facts|style|talk)|\bfindings/\w+|\b[Ss]ections? \d+ of the\b|\bRulings (?:say|\w+e\b)",
)
"""Text that named documents that never were part of the repository."""
HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
ID: Final = re.compile(r'<a id="([\w-]+)"></a>')


def test_everything_that_is_cited_exists() -> None:
    assert [*dangling(repository(), existing())] == []


def test_no_anchor_stands_twice() -> None:
    for name, text in repository().items():
        if name.endswith(".md"):
            assert len(set(ID.findall(text))) == len(ID.findall(text)), name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("A.md", "[gone](B.md)"),
        ("A.md", "[gone](#here)"),
        ("A.md", "# There\n\n[gone](A.md#here)"),
        ("A.md", "`tests/none`"),
        ("a.py", "# As SPEC.md#invariant-13 says."),
        ("a.py", '"""The rules of design, section 4."""'),
        ("a.py", "LIMIT = 3\n'''As `autodoctor.nothing.at_all` has it.'''"),
        ("a.sql", "-- sql/0000_nothing.sql lists them"),
    ],
)
def test_what_is_cited_and_does_not_exist_is_found(name: str, text: str) -> None:
    assert len([*dangling({"SPEC.md": "", name: text}, {"tests/unit/a.py"})]) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("A.md", '[here](#there) <a id="there"></a> [web](https://example.com/#x) `tests/*/a.py` `tests/unit`'),
        ("sub/A.md", "# What it is, once\n\n[here](#what-it-is-once) [up](../SPEC.md)"),
        ("a.py", "path = 'no/file.py'  # SPEC.md and unit/a.py"),
        ("a.py", "# The rules: RFC 9112, sections 6 and 7"),
    ],
)
def test_what_exists_and_what_is_no_citation_is_not(name: str, text: str) -> None:
    assert not [*dangling({"SPEC.md": "", name: text}, {"tests/unit/a.py"})]


def existing() -> set[str]:
    """Every file that git has or would add, from the root."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return {name for name in listed.split("\0") if (ROOT / name).is_file()}


def repository() -> dict[str, str]:
    """The texts of the repository by path, without this file."""
    own = str(Path(__file__).relative_to(ROOT))
    return {name: (ROOT / name).read_text() for name in existing() if Path(name).suffix in TEXTS and name != own}


class Places:
    """The possible targets of a citation.

    Args:
        texts: by path from the root.
        files: further paths.
    """

    def __init__(self, texts: Mapping[str, str], files: set[str]) -> None:
        paths = [PurePosixPath(name) for name in {*texts, *files}]
        self._documents = {name: anchors_of(text) for name, text in texts.items() if name.endswith(".md")}
        self._paths = {str(place) for path in paths for place in (path, *path.parents)}
        self._ends = {"/".join(path.parts[start:]) for path in paths for start in range(len(path.parts))}

    def has_path(self, cited: str) -> bool:
        """Whether a path from the root, perhaps with `*`, is a file or a folder."""
        cited = cited.rstrip("/")
        return cited in self._paths or ("*" in cited and any(fnmatch(path, cited) for path in self._paths))

    def has_end(self, cited: str) -> bool:
        """Whether some path ends so: a file is cited by as much of its path as tells it apart."""
        return cited in self._ends

    def has_document(self, citing: str, cited: str) -> bool:
        """Whether a link, from its file or from the root, leads to a file, and to an anchor where it names one."""
        document, _, anchor = cited.partition("#")
        beside = normpath(f"{PurePosixPath(citing).parent}/{document}")
        for place in (beside, document) if document else (citing,):
            if place in self._documents:
                return not anchor or anchor in self._documents[place]
        return not anchor and self.has_path(beside)

    def has_module(self, cited: str) -> bool:
        """Whether a dotted name is a package, or begins with a module: what follows is something in it."""
        first, *rest = cited.split(".")
        place = PACKAGES[first]
        for part in rest:
            place = f"{place}/{part}"
            if f"{place}.py" in self._paths:
                return True
        return place in self._paths


def dangling(texts: Mapping[str, str], files: set[str]) -> Iterator[str]:
    """Citations that lead nowhere, as `FILE: what it cites`.

    Args:
        texts: what is searched, by path from the root.
        files: what else exists.
    """
    places = Places(texts, files)
    for name, text in texts.items():
        said = prose(text) if name.endswith(".py") else text
        wrong = [each for each in DOCUMENT.findall(said) if not places.has_document(name, each)]
        wrong += [each for each in FILE.findall(said) if each not in EXAMPLES and not places.has_end(each)]
        if name.endswith(".md"):
            wrong += [each for each in LINK.findall(text) if not places.has_document(name, each)]
            wrong += [each for each in IN_BACKTICKS.findall(text) if not places.has_path(each)]
        if name.endswith((".md", ".py", ".sql")):
            wrong += [each for each in MODULE.findall(said) if not places.has_module(each)]
        wrong += ABSENT.findall(said)
        yield from (f"{name}: {each}" for each in dict.fromkeys(wrong))


def prose(source: str) -> str:
    """The comments of a Python file, and the strings that are statements: docstrings, and those under constants."""
    kept = []
    begins = True
    for kind, text, *_ in tokenize.generate_tokens(io.StringIO(source).readline):
        if kind == tokenize.COMMENT or (kind == tokenize.STRING and begins):
            kept.append(text)
        if kind not in (tokenize.COMMENT, tokenize.NL):
            begins = kind in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    return "\n".join(kept)


def anchors_of(markdown: str) -> set[str]:
    """The names that can follow `#`: ids, and headings as GitHub names them."""
    headings = (re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(markdown))
    return {*ID.findall(markdown), *headings}
