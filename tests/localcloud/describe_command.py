"""`autodoctor openapi` and `autodoctor asyncapi`: the API's description, from the code that serves it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

SERVED: Final = Path(__file__).parents[2] / "functions" / "docs"
"""Where the documents lie that `GET /api/openapi.json` and `/api/asyncapi.json` answer."""

Write = Annotated[bool, typer.Option("--write", help="Write it to where it is served from, functions/docs.")]
_ONE_A_LINE: Final = 2
"""How deep the members stand that have a line of their own: a path, a schema, a message."""


def openapi(*, write: Write = False) -> None:
    """Print the OpenAPI 3.1 document of the HTTP API, read from the functions' code."""
    from autodoctor.describe.openapi import Undescribed  # noqa: PLC0415 - as in cli.py
    from autodoctor.describe.problem_schemas import Unexplained  # noqa: PLC0415

    try:
        _give("openapi", documents()["openapi"], write=write)
    except (Undescribed, Unexplained) as missing:
        typer.echo(str(missing), err=True)
        raise typer.Exit(1) from None


def asyncapi(*, write: Write = False) -> None:
    """Print the AsyncAPI 3.0 document of the event bus and the WebSocket feed."""
    from autodoctor.describe.asyncapi import asyncapi as document  # noqa: PLC0415 - as in cli.py

    _give("asyncapi", document(), write=write)


def documents() -> Mapping[str, Mapping[str, Any]]:
    """Both documents as the code would have them now.

    Raises:
        Undescribed: a route is not described, or not all of it.
        Unexplained: a type of problem has no text.
    """
    from autodoctor.describe.asyncapi import asyncapi as events  # noqa: PLC0415 - as in cli.py
    from autodoctor.describe.openapi import openapi as api  # noqa: PLC0415
    from localcloud.stack.handlers import routes  # noqa: PLC0415

    return {"openapi": api(routes()), "asyncapi": events()}


def written(document: Mapping[str, Any]) -> str:
    """The document with a line for each path, schema and message: short to serve, and a diff shows what changed."""
    return f"{_lines(document, _ONE_A_LINE)}\n"


def _lines(value: Any, depth: int) -> str:  # noqa: ANN401 (any JSON)
    if depth < 0 or not isinstance(value, Mapping) or not value:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    members = (f"{json.dumps(name)}:{_lines(each, depth - 1)}" for name, each in value.items())
    return "{\n" + ",\n".join(members) + "\n}"


def _give(name: str, document: Mapping[str, Any], *, write: bool) -> None:
    if not write:
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    file = SERVED / f"{name}.json"
    file.write_text(written(document), encoding="utf-8")
    typer.echo(f"functions/docs/{file.name}: {file.stat().st_size:,} bytes")
