"""`autodoctor openapi` and `autodoctor asyncapi` print the description of the code, or name a missing part."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from typer.testing import CliRunner

from autodoctor.describe.openapi import Undescribed, openapi
from autodoctor.operations.commands.describe import written
from autodoctor.web.http import Route
from localcloud.cli import app


@pytest.mark.parametrize(("command", "version"), [("openapi", "3.1.0"), ("asyncapi", "3.0.0")])
def test_a_document_is_printed(made: Mapping[str, Any], command: str, version: str) -> None:
    done = CliRunner().invoke(app, [command])
    assert done.exit_code == 0
    printed = json.loads(done.stdout)
    assert printed == made[command]
    assert printed[command] == version


def test_a_route_without_a_description_is_refused_by_name(routes: Mapping[str, Route]) -> None:
    with pytest.raises(Undescribed, match=r"describe in autodoctor/describe/operations: GET /api/new"):
        openapi({**routes, "GET /api/new": routes["GET /api/plans"]})


def test_what_is_written_is_the_document_a_member_a_line(made: Mapping[str, Any]) -> None:
    for document in made.values():
        text = written(document)
        assert json.loads(text) == document
        assert max(len(line) for line in text.splitlines()) < 10_000
