"""`autodoctor events`: the types of the events on the bus, and the JSON Schema of each."""

import json
from pathlib import Path
from typing import Annotated

import typer

events_app = typer.Typer(no_args_is_help=True, help="Describe the events on the bus.")


@events_app.command("list")
def list_types() -> None:
    """Print the detail-type of every event, for the rule of a consumer of your own."""
    from autodoctor.events.model import json_schemas

    for name, _ in json_schemas():
        typer.echo(name)


@events_app.command()
def schema(
    detail_type: Annotated[str | None, typer.Argument(help="Print only this one, such as session.ended.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write one file per type into this folder instead.")] = None,
) -> None:
    """Print the JSON Schema (2020-12) of the `detail` of events, by detail-type."""
    from autodoctor.events.model import json_schemas

    schemas = dict(json_schemas())
    if detail_type is not None:
        if detail_type not in schemas:
            raise typer.BadParameter(f"{detail_type} is none of {', '.join(schemas)}")
        schemas = {detail_type: schemas[detail_type]}
    if output is None:
        typer.echo(json.dumps(schemas if detail_type is None else schemas[detail_type], indent=2))
        return
    output.mkdir(parents=True, exist_ok=True)
    for name, document in schemas.items():
        (output / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    typer.echo(f"{len(schemas)} schemas in {output}")
