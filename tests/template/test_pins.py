"""Versions agree: project, layer, functions, and the environment of the tests."""

import json
import re
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

type Document = dict[str, Any]


def pins(lines: Iterable[str]) -> dict[str, str]:
    """Return the version each requirement is pinned to; one that is not pinned fails."""
    found: dict[str, str] = {}
    for line in lines:
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", line
        found[canonicalize_name(requirement.name)] = specifier.version
    return found


def requirements(file: Path) -> dict[str, str]:
    """Return the pins of a requirements file."""
    lines = (line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return pins(line for line in lines if line)


@pytest.fixture(scope="module")
def project(root: Path) -> Document:
    """Return pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pinned(project: Document) -> dict[str, str]:
    """Return every version the project fixes, of what it names and of what that needs."""
    groups = project["dependency-groups"].values()
    named = [*project["project"]["dependencies"], *(line for group in groups for line in group)]
    return {**pins(project["tool"]["uv"]["constraint-dependencies"]), **pins(named)}


def test_whatever_is_installed_is_pinned(pinned: dict[str, str]) -> None:
    installed: dict[str, str] = {canonicalize_name(each.name): each.version for each in metadata.distributions()}
    del installed["autodoctor"]
    assert {name: version for name, version in installed.items() if pinned.get(name) != version} == {}


LAYERS = ("shared", "push")


@pytest.mark.parametrize("layer", LAYERS)
def test_what_is_deployed_is_what_was_tested(root: Path, pinned: dict[str, str], layer: str) -> None:
    deployed = requirements(root / f"layers/{layer}/requirements.txt")
    assert deployed.items() <= pinned.items()


def test_functions_bring_nothing_that_the_layers_do_not(root: Path) -> None:
    """SAM would install what such a file names into the function's package, untested by the rest of this module."""
    assert list((root / "functions").glob("*/requirements.txt")) == []


@pytest.mark.parametrize("layer", LAYERS)
def test_a_requirements_file_names_everything_that_will_be_installed(root: Path, layer: str) -> None:
    named = set(requirements(root / f"layers/{layer}/requirements.txt"))
    for name in named:
        needed = map(Requirement, metadata.requires(name) or [])
        missing = {
            canonicalize_name(each.name)
            for each in needed
            if each.marker is None or each.marker.evaluate({"extra": ""})
        }
        assert missing <= named, name


def test_layer_functions_and_wheels_agree_on_architecture_and_python(
    resources: Document, functions: Document, project: Document, root: Path
) -> None:
    architecture = {"Ref": "Architecture"}
    assert all(function["Architectures"] == [architecture] for function in functions.values())
    version = (root / ".python-version").read_text(encoding="utf-8").strip()
    for layer in (resources["SharedLayer"], resources["PushLayer"]):
        assert layer["Properties"]["CompatibleArchitectures"] == [architecture]
        assert layer["Metadata"]["BuildArchitecture"] == architecture
        assert layer["Metadata"]["BuildMethod"] == f"python{version}"
        assert layer["Properties"]["CompatibleRuntimes"] == [f"python{version}"]
    assert project["project"]["requires-python"] == f">={version}"


def test_the_bytecode_layer_is_made_of_the_shared_layer_and_laid_over_it(
    resources: Document, functions: Document
) -> None:
    shared, bytecode = resources["SharedLayer"], resources["BytecodeLayer"]
    assert bytecode["Properties"]["ContentUri"] == shared["Properties"]["ContentUri"]
    assert bytecode["Properties"]["CompatibleRuntimes"] == shared["Properties"]["CompatibleRuntimes"]
    assert bytecode["Metadata"]["BuildMethod"] == "makefile"
    for name, function in functions.items():
        layers = function.get("Layers", [])
        assert (
            layers[:2] == [{"Ref": "SharedLayer"}, {"Ref": "BytecodeLayer"}] or {"Ref": "SharedLayer"} not in layers
        ), name


def test_no_package_host_stands_in_the_pins(root: Path) -> None:
    for name in ("pyproject.toml", *(f"layers/{layer}/requirements.txt" for layer in LAYERS)):
        assert "://" not in (root / name).read_text(encoding="utf-8"), name


def test_the_client_of_chime_is_pinned_to_the_byte_without_a_host(root: Path) -> None:
    named: dict[str, str] = json.loads((root / "layers/chime/package.json").read_text(encoding="utf-8"))["dependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in named.values()), named
    lock = json.loads((root / "layers/chime/package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert lock.pop("")["dependencies"] == named
    assert {name: lock[f"node_modules/{name}"]["version"] for name in named} == named
    assert [name for name, package in lock.items() if "resolved" in package or "integrity" not in package] == []


def test_the_console_is_told_where_the_layer_has_the_client_of_chime(
    resources: Document, functions: Document, root: Path
) -> None:
    layer, console = resources["ChimeLayer"], functions["ConsoleFunction"]
    assert layer["Metadata"]["BuildMethod"] == "makefile"
    assert {"Ref": "ChimeLayer"} in resources["ConsoleFunction"]["Properties"]["Layers"]
    made = (root / layer["Properties"]["ContentUri"] / "Makefile").read_text(encoding="utf-8")
    folder, file = re.findall(r"\$\(ARTIFACTS_DIR\)(/\S+)", made)[0], re.findall(r'"\$\(target\)(/\S+)"', made)[0]
    assert console["Environment"]["Variables"]["CONSOLE_MEDIUM_CLIENT"] == f"/opt{folder}{file}"
