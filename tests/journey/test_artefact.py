"""The output of `sam build` alone: every handler starts from it, and it completes one consultation."""

import platform
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.compute.environment import Databases, launch_of
from localcloud.database.postgres import Database, PostgresServer
from localcloud.stack.template import read_stack
from support.artefact import Artefact, imported_files, running_artefact, set_minimum

pytestmark = pytest.mark.artefact

TALK_SECONDS = 1.2


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
    stack = read_stack(built_template, {})
    (layer,) = {layer for spec in stack.functions.values() for layer in spec.layers}
    tags = [
        line.removeprefix("Tag: ")
        for wheel in layer.packages.glob("*.dist-info/WHEEL")
        for line in wheel.read_text(encoding="utf-8").splitlines()
        if line.startswith("Tag: ")
    ]
    binary = [tag for tag in tags if not tag.endswith("-none-any")]
    assert binary
    assert all(tag.startswith("cp313-cp313-manylinux") and tag.endswith(platform.machine()) for tag in binary)
