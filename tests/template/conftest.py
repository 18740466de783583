"""The template with its loops written out, as SAM hands it to CloudFormation, and the routes its handlers serve."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from autodoctor.operations import handlers
from autodoctor.web.http import Router
from support.template.deployed_template import ROOT, expanded_template, transformed_template

UPLOADED = "s3://bucket/key"  # what `sam package` puts in place of a folder

type Document = dict[str, Any]


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the repository."""
    return ROOT


@pytest.fixture(scope="session")
def template() -> Document:
    """Return template.yaml with its loops (Fn::ForEach) and anchors written out, intrinsics in their long form."""
    return expanded_template()


@pytest.fixture(scope="session")
def resources(template: Document) -> Document:
    """Return the resources before SAM's transform."""
    written: Document = template["Resources"]
    return written


@pytest.fixture(scope="session")
def deployed(template: Document) -> Document:
    """Return the template that CloudFormation gets, after SAM's own transform."""
    return transformed_template(template, lambda _name: UPLOADED)


@pytest.fixture(scope="session")
def transformed(deployed: Document) -> Document:
    """Return the resources that CloudFormation gets."""
    made: Document = deployed["Resources"]
    return made


@pytest.fixture(scope="session")
def functions(transformed: Document) -> Document:
    """Return the properties of every function CloudFormation gets, by logical id."""
    return _of_type(transformed, "AWS::Lambda::Function")


@pytest.fixture(scope="session")
def alarms(transformed: Document) -> Document:
    """Return the properties of every alarm, by logical id."""
    return _of_type(transformed, "AWS::CloudWatch::Alarm")


@pytest.fixture(scope="session")
def queues(transformed: Document) -> Document:
    """Return the properties of every queue, by logical id."""
    return _of_type(transformed, "AWS::SQS::Queue")


@pytest.fixture(scope="session")
def rules(transformed: Document) -> Document:
    """Return the properties of every rule, by logical id."""
    return _of_type(transformed, "AWS::Events::Rule")


@pytest.fixture(scope="session")
def sources(transformed: Document) -> Document:
    """Return the properties of every event source mapping, by logical id."""
    return _of_type(transformed, "AWS::Lambda::EventSourceMapping")


@pytest.fixture(scope="session")
def routers() -> dict[str, Router]:
    """Return the router of every function that has one, by folder, from the handler's own module."""
    return dict(handlers.routers())


def _of_type(resources: Mapping[str, Any], kind: str) -> Document:
    return {name: each["Properties"] for name, each in resources.items() if each["Type"] == kind}
