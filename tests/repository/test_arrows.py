"""The imports allowed between the layer's packages, as a table without cycles: read a package after its imports."""

import ast
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
LAYER: Final = ROOT / "layers" / "shared" / "autodoctor"
IN_PARTS: Final = ("events", "integrity", "payments")
"""Packages whose sub-packages have arrows of their own; what stands beside these counts as the package itself."""

ARROWS: Final[Mapping[str, str]] = {
    # From the bottom up. What has no row imports nothing of ours: domain, errors, ids, plural, among others.
    "aws": "settings",
    "integrity.checks": "domain ids plural",
    "limits": "errors",
    "db": "aws limits",
    "observability": "aws",
    "migrations": "aws observability",
    "web": "aws errors observability printable",
    "admin": "aws db errors ids web",
    "integrity": "db deadline domain ids integrity.checks plural web",
    "monitoring": "aws db deadline domain errors ids observability settings web",
    "payments.stripe": "aws db deadline errors observability settings web",
    "prefetched": "web",
    "events": "aws db deadline observability prefetched settings web",
    "integrity.repair": "domain ids integrity integrity.checks",
    "legacy": "domain ids integrity integrity.checks",
    "payments.ledger": "db deadline domain errors ids payments.stripe web",
    "sessions": "db deadline domain errors ids prefetched settings web",
    "documents": "db errors ids printable web",
    "files": "aws db deadline domain errors ids observability settings web",
    "events.feed": "aws db deadline errors events observability sessions settings web",
    "room": "db errors events events.feed observability settings web",
    "media": "aws db deadline errors observability settings web",
    "describe": "admin domain errors events room web",
    "notifications": "db errors events ids observability printable sessions settings web",
    "push": "aws db errors events ids notifications observability sessions settings web",
    "payments.checkout": "db deadline errors ids observability payments.ledger payments.stripe sessions settings web",
    "extensions": "db domain errors ids payments.checkout prefetched sessions web",
    "payments.losses": "db deadline domain ids payments.ledger payments.stripe web",
    "quotes": "db errors ids payments.ledger sessions web",
    "disputes": "admin db deadline documents errors notifications payments.losses payments.stripe plural web",
    "contests": "admin db domain errors ids payments.ledger payments.losses web",
    "events.dead_letters": "aws db errors events.feed ids observability settings web",
    "intake": "db domain errors ids observability payments.checkout payments.ledger prefetched sessions web",
    "payments.outgoing": "db deadline payments.ledger payments.losses payments.stripe",
    "payments": (
        "db deadline domain errors payments.checkout payments.ledger payments.losses payments.outgoing "
        "payments.stripe web"
    ),
    "payments.reconcile": (
        "db deadline ids observability payments.ledger payments.losses payments.outgoing payments.stripe web"
    ),
    "operations": (
        "db describe domain errors events events.dead_letters integrity integrity.repair legacy "
        "migrations notifications payments.reconcile payments.stripe plural sessions settings web"
    ),
}


def test_the_table_has_every_arrow_and_no_other() -> None:
    assert arrows() == {source: set(targets.split()) for source, targets in ARROWS.items()}


def test_the_rules_and_the_sessions_know_nothing_of_money() -> None:
    assert "domain" not in ARROWS
    assert not [target for target in ARROWS["sessions"].split() if target.startswith("payments")]


def test_no_package_imports_itself_through_others() -> None:
    TopologicalSorter(arrows()).prepare()  # raises CycleError, which names the packages


def test_nothing_that_is_deployed_imports_from_the_tests() -> None:
    packages = {each.name for each in (ROOT / "tests").iterdir() if each.is_dir()}
    files = [*LAYER.rglob("*.py"), *(ROOT / "functions").rglob("*.py")]
    found = {f"{file.relative_to(ROOT)}: {name}" for file in files for name in imports(file)}
    assert not {each for each in found if each.partition(": ")[2].partition(".")[0] in packages}


def arrows() -> dict[str, set[str]]:
    """Every package of the layer, with the packages that its modules import."""
    found: dict[str, set[str]] = {}
    for file in LAYER.rglob("*.py"):
        parts = file.relative_to(LAYER).with_suffix("").parts
        source = place(parts[:-1] if parts[-1] == "__init__" else parts)
        targets = {place(tuple(name.split("."))[1:]) for name in imports(file) if name.startswith("autodoctor.")}
        found.setdefault(source, set()).update(targets - {source})
    return {source: targets for source, targets in found.items() if targets}


def place(parts: tuple[str, ...]) -> str:
    """The package that a module is in, a module at the root by its own name."""
    inner = parts[0] in IN_PARTS and len(parts) > 1 and (LAYER / parts[0] / parts[1]).is_dir() if parts else False
    return ".".join(parts[:2] if inner else parts[:1])


def imports(file: Path) -> Iterator[str]:
    """The full name of everything that a file imports, also within functions and for annotations."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{file}: a relative import"
            yield from (f"{node.module}.{each.name}" for each in node.names)
