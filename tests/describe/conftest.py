"""The documents as the code would have them now."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from autodoctor.describe.pages import Description
from autodoctor.operations import handlers
from autodoctor.operations.commands.describe import SERVED, documents
from autodoctor.web.http import Route
from localcloud.stack.template import Stack, read_stack

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


@pytest.fixture(scope="session")
def made() -> Mapping[str, Any]:
    """Both documents, by name, made from the code."""
    return documents()


@pytest.fixture(scope="session")
def openapi(made: Mapping[str, Any]) -> Mapping[str, Any]:
    """The OpenAPI document."""
    document: Mapping[str, Any] = made["openapi"]
    return document


@pytest.fixture(scope="session")
def asyncapi(made: Mapping[str, Any]) -> Mapping[str, Any]:
    """The AsyncAPI document."""
    document: Mapping[str, Any] = made["asyncapi"]
    return document


@pytest.fixture(scope="session")
def stack() -> Stack:
    """The deployment of template.yaml."""
    return read_stack(TEMPLATE, {})


@pytest.fixture(scope="session")
def routes() -> Mapping[str, Route]:
    """Every route that a handler serves."""
    return handlers.routes()


@pytest.fixture(scope="session")
def description() -> Description:
    """The pages of the documents as they are served."""
    return Description(SERVED)
