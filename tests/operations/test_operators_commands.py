"""The operators' commands: part of `autodoctor`, and runnable without the local cloud."""

import pytest
import typer.main
from typer.testing import CliRunner

from autodoctor.operations.cli import app as operations
from localcloud.cli import app as autodoctor

SOMEBODY = "c0000000-0000-4000-8000-0000000000ff"
NAME_IT = "name the database with --database-url, or with redrive and smoke the stack with --stack"


def names(app: typer.Typer) -> set[str]:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    return set(group.commands)


def test_autodoctor_has_every_operators_command() -> None:
    assert names(operations) == {
        *("migrate", "end", "smoke", "verify", "repair", "reconcile", "redrive", "import-legacy"),
        *("customer", "events", "mail", "mechanic", "openapi", "asyncapi"),
    }
    assert names(operations) < names(autodoctor)


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        (["end", SOMEBODY], 1, NAME_IT),
        (["verify"], 2, NAME_IT),
        (["repair"], 2, NAME_IT),
        (["import-legacy"], 2, NAME_IT),
        (["reconcile"], 2, f"reconcile: {NAME_IT}"),
        (["redrive"], 1, f"redrive: {NAME_IT}"),
        (["smoke"], 2, f"smoke: {NAME_IT}"),
        (["customer", "export", SOMEBODY], 1, NAME_IT),
        (["customer", "erase", SOMEBODY, "--yes"], 1, NAME_IT),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_without_the_local_cloud_a_command_asks_for_the_database(command: list[str], status: int, said: str) -> None:
    result = CliRunner().invoke(operations, command)
    assert (result.exit_code, result.stderr) == (status, f"{said}\n")


@pytest.mark.parametrize(
    ("command", "status"),
    [(["verify"], 2), (["repair"], 2), (["import-legacy"], 2), (["reconcile"], 2), (["redrive"], 1), (["smoke"], 2)],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_within_autodoctor_a_command_looks_for_the_running_server(
    tmp_path_factory: pytest.TempPathFactory, command: list[str], status: int
) -> None:
    folder = tmp_path_factory.mktemp("data") / "none"
    result = CliRunner().invoke(autodoctor, [*command, "--data-dir", str(folder)])
    assert result.exit_code == status
    assert f"no server runs on {folder}" in result.stderr
