"""`autodoctor openapi` and `autodoctor asyncapi`: the API's description, read from the code in a checkout."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from autodoctor.operations.output import fail

SERVED: Final = Path(__file__).parents[5] / "functions" / "docs"
"""The folder of the documents that `GET /api/openapi.json` and `/api/asyncapi.json` serve."""

Write = Annotated[bool, typer.Option("--write", help="Write it to functions/docs, which serves it.")]
_ONE_A_LINE: Final = 2
"""The depth of the members that get a line each: a path, a schema, a message."""


def openapi(*, write: Write = False) -> None:
    """Print the OpenAPI 3.1 document of the HTTP API, read from the functions' code."""
    from autodoctor.describe.openapi import Undescribed
    from autodoctor.describe.problem_schemas import Unexplained

    try:
        _deliver("openapi", documents()["openapi"], write=write)
    except (Undescribed, Unexplained) as missing:
        fail(str(missing), status=1)


def asyncapi(*, write: Write = False) -> None:
    """Print the AsyncAPI 3.0 document of the event bus and the WebSocket feed."""
    from autodoctor.describe.asyncapi import asyncapi as document

    _deliver("asyncapi", document(), write=write)


def documents() -> Mapping[str, Mapping[str, Any]]:
    """Make both documents from the present code.

    Raises:
        Undescribed: a route has no description, or an incomplete one.
        Unexplained: a type of problem has no text.
    """
    from autodoctor.describe.asyncapi import asyncapi as events
    from autodoctor.describe.openapi import openapi as api
    from autodoctor.operations.handlers import routes

    return {"openapi": api(routes()), "asyncapi": events()}


def written(document: Mapping[str, Any]) -> str:
    """Write a document with one line per path, schema and message: short to serve, and readable in a diff."""
    return f"{_lines(document, _ONE_A_LINE)}\n"


def _lines(value: Any, depth: int) -> str:  # noqa: ANN401 (any JSON)
    if depth < 0 or not isinstance(value, Mapping) or not value:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    members = (f"{json.dumps(name)}:{_lines(each, depth - 1)}" for name, each in value.items())
    return "{\n" + ",\n".join(members) + "\n}"


def _deliver(name: str, document: Mapping[str, Any], *, write: bool) -> None:
    if not write:
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    file = SERVED / f"{name}.json"
    file.write_text(written(document), encoding="utf-8")
    typer.echo(f"functions/docs/{file.name}: {file.stat().st_size:,} bytes")
