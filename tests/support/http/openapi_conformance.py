"""Checks the account's answers against openapi.json: status, media type, members, problems, headers."""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import jsonschema_rs

from autodoctor.describe.choices import KEY
from autodoctor.operations.commands.describe import SERVED

type Document = Mapping[str, Any]

_RESPONSES: Final = "#/components/responses/"
_HEADERS: Final = "#/components/headers/"
_REWRITE: Final = "if the code means that: uv run autodoctor openapi --write"


@cache
def served() -> dict[str, Any]:
    """The document as it is served."""
    document: dict[str, Any] = json.loads((SERVED / "openapi.json").read_text(encoding="utf-8"))
    return document


def check(method: str, path: str, status: int, headers: Mapping[str, str], body: str) -> None:
    """Fail if the document does not allow an answer; a path without a route may answer anything.

    Args:
        method: of the request.
        path: of the request, percent-encoded.
        status: of the answer.
        headers: of the answer, names in lower case.
        body: of the answer.
    """
    operation = _operation(method, path)
    if operation is None:
        return
    what = f"{method} {path} -> {status}"
    assert str(status) in operation["responses"], f"{what} is not described; {_REWRITE}"
    response = _response(operation["responses"][str(status)])
    medium = headers.get("content-type", "").partition(";")[0]
    content = response["content"]
    assert medium in content or "*/*" in content, f"{what} with {medium}, described are {sorted(content)}"
    if medium.endswith("json") and medium in content:
        _check_body(what, content[medium]["schema"], body)
    for name, header in response.get("headers", {}).items():
        if _resolved(header, _HEADERS, "headers").get("required"):
            assert name.lower() in headers, f"{what} without {name}"


def _check_body(what: str, schema: Document, body: str) -> None:
    validator = _validator(json.dumps(schema))
    wrong = [f"{each.instance_path}: {each.message}" for each in validator.iter_errors(json.loads(body))]
    assert not wrong, f"{what}: {'; '.join(wrong)} in {body}; {_REWRITE}"


@cache
def _validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    document = {**json.loads(schema), "components": {"schemas": closed(served()["components"]["schemas"])}}
    return jsonschema_rs.Draft202012Validator(document, validate_formats=True)


def closed(value: Any) -> Any:  # noqa: ANN401 (any JSON)
    """The schemas as if nothing could be added, so that a member or a word that is not described is found."""
    if isinstance(value, list):
        return [closed(each) for each in value]
    if not isinstance(value, dict):
        return value
    inner = {name: closed(each) for name, each in value.items()}
    if KEY in value:
        inner["enum"] = [*value[KEY], None]
    return {**inner, "additionalProperties": False} if isinstance(value.get("properties"), dict) else inner


def _response(response: Document) -> Document:
    return _resolved(response, _RESPONSES, "responses")


def _resolved(value: Document, prefix: str, kind: str) -> Document:
    if "$ref" not in value:
        return value
    found: Document = served()["components"][kind][value["$ref"].removeprefix(prefix)]
    return found


@cache
def _operation(method: str, path: str) -> Document | None:
    """The operation that API Gateway would choose: the path with the fewest variables."""
    fitting = [
        (template.count("{"), methods[method.lower()])
        for template, methods in served()["paths"].items()
        if method.lower() in methods and _pattern(template).fullmatch(path)
    ]
    return min(fitting, key=lambda each: each[0])[1] if fitting else None


@cache
def _pattern(template: str) -> re.Pattern[str]:
    several = template.startswith("/console/") or template.endswith("{proxy}")
    return re.compile("".join(_part(each, several=several) for each in re.split(r"(\{\w+\})", template)))


def _part(text: str, *, several: bool) -> str:
    if text.startswith("{"):
        return ".*" if several else "[^/]+"
    return re.escape(text)
