"""The output of `sam build`, for the tests of the artefact, and sockets that stay open for a test."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.template.artefact import built


@pytest.fixture(scope="session")
def built_template() -> Path:
    """The template that `sam build` wrote, built anew where the source is newer."""
    return built()


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    """Holds sockets open for as long as the test runs."""
    with ExitStack() as sockets:
        yield sockets
