"""The output of `sam build`, for the tests of the artefact."""

from pathlib import Path

import pytest

from support.artefact import built


@pytest.fixture(scope="session")
def built_template() -> Path:
    """The template that `sam build` wrote, built anew where the source is newer."""
    return built()
