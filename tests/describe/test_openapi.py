"""The OpenAPI document describes the routes of template.yaml and the behaviour of the handlers, and nothing else."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs
import pytest
import schemathesis

from autodoctor.describe.operations import OPERATIONS
from autodoctor.operations.commands.describe import SERVED, written
from autodoctor.web.http import Route
from localcloud.stack.template import Stack

type Document = Mapping[str, Any]

REWRITE = "uv run autodoctor openapi --write && uv run autodoctor asyncapi --write"
ANY = {"get", "post", "put", "patch", "delete"}


def operations(openapi: Document) -> Iterator[tuple[str, str, Document]]:
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def operation(openapi: Document, key: str) -> Document:
    method, _, path = key.partition(" ")
    found: Document = openapi["paths"][path][method.lower()]
    return found


def slugs(openapi: Document, key: str, status: str) -> set[str]:
    """The problems of one answer of a route."""
    ref = operation(openapi, key)["responses"][status]["$ref"].removeprefix("#/components/responses/")
    schema = openapi["components"]["responses"][ref]["content"]["application/problem+json"]["schema"]
    refs = [each["$ref"].rpartition("/")[2] for each in schema.get("oneOf", [schema])]
    return {openapi["components"]["schemas"][each]["properties"]["type"]["const"].rpartition("/")[2] for each in refs}


@pytest.mark.parametrize("name", ["openapi", "asyncapi"])
def test_what_is_served_is_what_the_code_says(made: Document, name: str) -> None:
    assert (SERVED / f"{name}.json").read_text(encoding="utf-8") == written(made[name]), f"run: {REWRITE}"


def test_every_route_of_the_template_is_described_and_no_other(openapi: Document, stack: Stack) -> None:
    deployed = {
        (method, route.path.replace("+}", "}"))
        for route in stack.routes
        for method in (ANY if route.method == "ANY" else {route.method.lower()})
    }
    assert {(method, path) for method, path, _ in operations(openapi)} == deployed


def test_no_description_is_left_of_a_route_that_is_gone(stack: Stack) -> None:
    assert set(OPERATIONS) == {route.key for route in stack.routes}


def test_the_document_is_openapi(openapi: Document) -> None:
    schemathesis.openapi.from_dict(dict(openapi)).validate()


def test_every_operation_has_an_id_of_its_own_a_chapter_and_words(openapi: Document) -> None:
    ids = [each["operationId"] for _, _, each in operations(openapi)]
    assert len(set(ids)) == len(ids)
    chapters = {tag["name"] for tag in openapi["tags"]}
    for _, _, each in operations(openapi):
        assert set(each["tags"]) <= chapters
        assert each["summary"]
        assert each["description"]


def test_who_may_call_is_what_template_and_handlers_say(
    openapi: Document, stack: Stack, routes: Mapping[str, Route]
) -> None:
    for route in stack.routes:
        for method in ANY if route.method == "ANY" else {route.method.lower()}:
            security = openapi["paths"][route.path.replace("+}", "}")][method]["security"]
            assert [[group] for group in sorted(routes[route.key].groups)] == [each["bearerAuth"] for each in security]
            assert bool(security) is (route.authorizer is not None), route.key


def test_what_is_retired_is_deprecated_and_answers_gone(openapi: Document, stack: Stack) -> None:
    retired = {route.path.replace("+}", "}") for route in stack.routes if route.method == "ANY"}
    assert {path for _, path, each in operations(openapi) if each.get("deprecated")} == retired
    for _, path, each in operations(openapi):
        if path in retired:
            assert set(each["responses"]) <= {"404", "410", "413", "429", "503"}
            gone = openapi["components"]["responses"][each["responses"]["410"]["$ref"].rpartition("/")[2]]
            assert "Link" in gone["headers"]


def test_every_reference_leads_somewhere(made: Document) -> None:
    def check(value: object, document: Document) -> None:
        if isinstance(value, Mapping):
            if isinstance(ref := value.get("$ref"), str):
                found: Any = document
                for part in ref.removeprefix("#/").split("/"):
                    found = found[part]
            for each in value.values():
                check(each, document)
        elif isinstance(value, list):
            for each in value:
                check(each, document)

    for document in made.values():
        check(document, document)


def test_every_example_is_what_its_schema_allows(openapi: Document) -> None:
    def examples(value: object) -> Iterator[tuple[Document, object]]:
        if isinstance(value, Mapping):
            if "schema" in value and "example" in value:
                yield value["schema"], value["example"]
            if isinstance(value.get("examples"), list):
                yield from ((value, each) for each in value["examples"])
            for each in value.values():
                yield from examples(each)

    seen = 0
    for schema, example in examples(openapi):
        whole = {**schema, "components": openapi["components"]}
        validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        wrong = [f"{each.instance_path}: {each.message}" for each in validator.iter_errors(example)]
        assert not wrong, (json.dumps(example), wrong)
        seen += 1
    assert seen > len(openapi["paths"])


def test_every_body_has_an_example(openapi: Document) -> None:
    for method, path, each in operations(openapi):
        contents = [each["requestBody"]["content"]] if "requestBody" in each else []
        contents += [response["content"] for response in each["responses"].values() if "content" in response]
        for content in contents:
            ref = content.get("application/json", {}).get("schema", {}).get("$ref", "")
            needs_none = not ref or ref.endswith("/GatewayMessage")
            assert needs_none or "example" in content["application/json"], f"{method} {path}"


def test_the_problems_are_those_that_the_route_states(openapi: Document) -> None:
    accept = "POST /api/mechanic/assignments/{assignmentId}/accept"
    assert slugs(openapi, accept, "409") == {"assignment-unavailable", "mechanic-busy", "session-busy"}
    assert slugs(openapi, accept, "403") == {"forbidden", "mechanic-not-active", "own-session"}
    intake = "POST /api/intake/start"
    assert slugs(openapi, intake, "402") == {"insufficient-credits"}
    assert slugs(openapi, intake, "422") == {"idempotency-key-reused", "validation"}
    assert {"payments-unavailable", "service-unavailable"} == slugs(openapi, intake, "503")


def test_what_can_be_tried_again_says_when(openapi: Document) -> None:
    for name, response in openapi["components"]["responses"].items():
        if {"session-busy", "service-unavailable", "payments-unavailable"} & set(name.split(".")):
            assert "Retry-After" in response["headers"]


def test_the_parameters_are_those_that_the_route_states(openapi: Document) -> None:
    def names(key: str) -> set[str]:
        return {each["name"] for each in operation(openapi, key).get("parameters", [])}

    assert names("POST /api/intake/start") == {"Idempotency-Key"}
    assert names("GET /api/admin/mechanics") == {"limit", "cursor", "status", "workshopId", "search", "standing"}
    assert names("POST /api/stripe/webhook") == {"Stripe-Signature"}
    assert names("GET /api/sessions/{sessionId}") == {"sessionId"}


def test_each_answer_has_its_status_and_model(openapi: Document) -> None:
    responses = operation(openapi, "POST /api/intake/start")["responses"]
    refs = {
        status: responses[status]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for status in ("201", "202")
    }
    assert refs == {"201": "SessionCreated", "202": "CheckoutOpened"}


@pytest.mark.parametrize("model", ["SessionExtension", "ExtensionState"])
def test_what_a_base_says_of_its_fields_is_said_of_each_that_has_them(openapi: Document, model: str) -> None:
    status = openapi["components"]["schemas"][model]["properties"]["status"]
    assert status["description"].startswith("Asked: the mechanic has to answer")
