"""The output of `sam build` alone: every handler starts from it, and it completes one consultation."""

import gzip
import platform
import re
import sys
import sysconfig
import time
from collections.abc import Iterator
from importlib.util import MAGIC_NUMBER, source_hash
from pathlib import Path

import pytest

from localcloud.compute.environment import Databases, launch_of
from localcloud.database.postgres import Database, PostgresServer
from localcloud.stack.template import LayerSpec, read_stack
from support.template.artefact import ROOT, Artefact, compiled_files, imported_files, running_artefact, set_minimum

pytestmark = pytest.mark.artefact

TALK_SECONDS = 1.2
# PushLayer beside them has what only calls to browsers need, from a queue: nobody waits for its cold start.
OF_EVERY_FUNCTION = ("SharedLayer", "BytecodeLayer")
LAYER_BYTES = 60_000_000
CLIENT_BYTES = 330_000  # 314: what who begins a call waits for, once
LAMBDA_BYTES = 250_000_000 - 10_000_000  # Lambda's limit for code and layers, less the extension's
# Modules and kilobytes of bytecode: what stands here costs every cold start, so it grows only for a reason.
START_BUDGET = {
    "AcceptFunction": (200, 2750),
    "EndSessionFunction": (200, 2750),
    "IntakeFunction": (218, 2860),
    "PresenceFunction": (215, 2890),
    "QueueFetchFunction": (200, 2760),
    "RoomFunction": (210, 2880),
}
UNCHECKED = (0b01).to_bytes(4, "little")


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer) -> Iterator[Database]:
    """Give the artefact a database without any schema."""
    with postgres_server.temporary_database("artefact") as database:
        yield database


@pytest.fixture(scope="module")
def artefact(
    built_template: Path, postgres_server: PostgresServer, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Artefact]:
    """Run the built functions behind the local gateway."""
    data_dir = tmp_path_factory.mktemp("artefact")
    with running_artefact(built_template, postgres_server, database, data_dir) as running:
        yield running


def test_a_consultation_runs_from_intake_to_completed(artefact: Artefact, database: Database) -> None:
    set_minimum(database, 1)
    intake = artefact.call(
        "customer1",
        "POST",
        "/api/intake/start",
        {
            "plan": "free",
            "payWith": "free",
            "sessionType": "video",
            "name": "Cora Castillo",
            "email": "cora@example.com",
            "vehicle": {"year": 2015, "make": "Toyota", "model": "Corolla"},
            "concern": "It squeals when I brake.",
            "waiver": {"signedName": "Cora Castillo"},
        },
    )
    assert intake["next"] == "wait"
    session = f"/api/sessions/{intake['sessionId']}"

    (waiting,) = artefact.call("mechanic1", "GET", "/api/mechanic/queue")["assignments"]
    assert waiting["assignmentId"] == intake["assignmentId"]
    accepted = artefact.call("mechanic1", "POST", f"/api/mechanic/assignments/{waiting['assignmentId']}/accept")
    assert accepted["sessionStatus"] == "waiting"

    artefact.call("customer1", "POST", f"{session}/join")
    assert artefact.call("mechanic1", "POST", f"{session}/join")["sessionStatus"] == "live"
    active = artefact.call("customer1", "GET", "/api/customer/active-session")["session"]
    assert (active["sessionId"], active["status"]) == (intake["sessionId"], "live")
    time.sleep(TALK_SECONDS)

    ended = artefact.call("mechanic1", "POST", f"{session}/end")
    assert (ended["status"], ended["reason"]) == ("completed", "billable")
    detail = artefact.call("customer1", "GET", session)
    assert detail["status"] == "completed"
    assert detail["timeline"]
    (history,) = artefact.call("mechanic1", "GET", "/api/mechanic/sessions")["sessions"]
    assert history["sessionId"] == intake["sessionId"]


def test_the_migration_finds_nothing_left_to_do(artefact: Artefact) -> None:
    assert artefact.cloud.invoke("MigrateFunction", {}).payload == {"applied": []}


def test_the_sweep_runs(artefact: Artefact) -> None:
    assert artefact.cloud.invoke("ExpireOrphansFunction", {}).error is None


def test_a_retired_route_names_its_successor(artefact: Artefact) -> None:
    response = artefact.callers["mechanic1"].get("/api/mechanics/requests/7")
    assert response.status_code == 410
    assert 'rel="successor-version"' in response.headers["Link"]


def test_a_function_imports_nothing_but_its_folder_and_the_built_layer(built_template: Path, tmp_path: Path) -> None:
    stack = read_stack(built_template, {})
    standard = Path(sysconfig.get_path("stdlib"))
    # The image's copies of what the layer has too must not be the ones that are loaded.
    image = {"boto3", "botocore", "dateutil", "s3transfer", "six.py", "urllib3"}
    # PostConfirmationFunction has nothing but the image.
    ours = {name: spec for name, spec in stack.functions.items() if name != "PostConfirmationFunction"}
    for name, spec in ours.items():
        launch = launch_of(spec, Databases("postgresql://app", "postgresql://owner"), tmp_path)
        allowed = (spec.code.resolve(), *(layer.packages.resolve() for layer in spec.layers), standard.resolve())
        strangers = [
            file
            for file in imported_files(launch)
            if not any(file.resolve().is_relative_to(each) for each in allowed) and not image & set(file.parts)
        ]
        assert strangers == [], name


def test_the_layer_holds_wheels_for_the_python_and_processor_of_the_functions(built_template: Path) -> None:
    layer = layers_of(built_template)["SharedLayer"]
    tags = [
        line.removeprefix("Tag: ")
        for wheel in layer.packages.glob("*.dist-info/WHEEL")
        for line in wheel.read_text(encoding="utf-8").splitlines()
        if line.startswith("Tag: ")
    ]
    binary = [tag for tag in tags if not tag.endswith("-none-any")]
    assert binary
    assert all(tag.startswith("cp313-cp313-manylinux") and tag.endswith(platform.machine()) for tag in binary)


def test_every_module_of_the_layer_has_bytecode_of_exactly_its_source(built_template: Path) -> None:
    """Python does not compare the two: these files say so themselves (PEP 552, unchecked)."""
    shared, bytecode = (layers_of(built_template)[name].packages for name in ("SharedLayer", "BytecodeLayer"))
    # A command that a wheel brings for PATH stands elsewhere in each layer, and nobody imports it.
    modules = [file.relative_to(shared) for file in shared.rglob("*.py") if ".data" not in file.parent.parent.suffix]
    for module in modules:
        header = (bytecode / _bytecode_of(module)).read_bytes()[:16]
        assert header == MAGIC_NUMBER + UNCHECKED + source_hash((shared / module).read_bytes()), module


def test_a_cold_start_compiles_nothing_of_the_layer(built_template: Path, tmp_path: Path) -> None:
    stack = read_stack(built_template, {})
    for name, spec in stack.functions.items():
        launch = launch_of(spec, Databases("postgresql://app", "postgresql://owner"), tmp_path)
        layers = {layer.packages.resolve() for layer in spec.layers if layer.logical_id in OF_EVERY_FUNCTION}
        compiled = {file for file in compiled_files(launch) if any(file.is_relative_to(each) for each in layers)}
        assert compiled == set(), name


@pytest.mark.parametrize("name", sorted(START_BUDGET))
def test_a_cold_start_reads_no_more_than_its_budget(built_template: Path, tmp_path: Path, name: str) -> None:
    """Counts, which do not vary: modules of the layer that are imported, and kilobytes of their bytecode."""
    spec = read_stack(built_template, {}).functions[name]
    layers = layers_of(built_template)
    shared, bytecode = (layers[each].packages.resolve() for each in ("SharedLayer", "BytecodeLayer"))
    launch = launch_of(spec, Databases("postgresql://app", "postgresql://owner"), tmp_path)
    taken = {file.relative_to(shared) for file in imported_files(launch) if file.is_relative_to(shared)}
    modules = {file for file in taken if file.suffix == ".py"}
    kilobytes = sum((bytecode / _bytecode_of(module)).stat().st_size for module in modules) // 1000
    allowed = START_BUDGET[name]
    assert len(modules) <= allowed[0]
    assert kilobytes <= allowed[1]


def test_the_layers_of_every_function_stay_small_together(built_template: Path) -> None:
    layers = layers_of(built_template)
    assert sum(unpacked(layers[name]) for name in OF_EVERY_FUNCTION) < LAYER_BYTES
    assert sum(unpacked(layer) for layer in layers.values()) < LAMBDA_BYTES


def unpacked(layer: LayerSpec) -> int:
    """The bytes of a layer's files."""
    return sum(file.stat().st_size for file in layer.packages.rglob("*") if file.is_file())


def layers_of(template: Path) -> dict[str, LayerSpec]:
    """The layers of a built template by name."""
    functions = read_stack(template, {}).functions.values()
    return {layer.logical_id: layer for spec in functions for layer in spec.layers}


def _bytecode_of(source: Path) -> Path:
    return source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc"


def test_the_layer_of_calls_has_what_the_page_asks_of_chimes_client(built_template: Path) -> None:
    folder = built_template.parent / "ChimeLayer" / "chime"
    page = (ROOT / "functions/console/static/js/call/chime.js").read_text(encoding="utf-8")
    asked = re.search(r"import \{(.+?)\} from \"./chime-sdk.js\"", page)
    script = gzip.decompress((folder / "sdk.js.gz").read_bytes()).decode()
    given = re.search(r"export\{(.+?)\}", script)
    assert asked
    assert given
    names = {each.split(" as ")[0].strip() for each in asked[1].split(",")}
    assert names == {each.split(" as ")[-1].strip() for each in given[1].split(",")}
    assert "Apache License" in (folder / "LICENSE").read_text(encoding="utf-8")
    assert (folder / "sdk.js.gz").stat().st_size < CLIENT_BYTES
