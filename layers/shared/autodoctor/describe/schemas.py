"""Turns the models of requests and answers into the schemas of the documents (JSON Schema 2020-12)."""

import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, override

from pydantic import BaseModel
from pydantic.alias_generators import to_camel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core.core_schema import ModelSchema

from autodoctor.describe.choices import add_choices

type Schema = dict[str, Any]
type Mode = Literal["validation", "serialization"]

REF: Final = "#/components/schemas/"
_REF_TEMPLATE: Final = f"{REF}{{model}}"
_REFERENCE: Final = re.compile(rf'"{REF}(\w+)"')
_MODES: Final = ("-Input", "-Output")
_ATTRIBUTES: Final = re.compile(r"\s*Attributes:\n(.*)", re.DOTALL)
_ATTRIBUTE: Final = re.compile(r"^ {4}(\w+): (.*?)(?=^ {4}\w|\Z)", re.DOTALL | re.MULTILINE)
_NAMES: Final = re.compile(r"`([a-z]+(?:_[a-z]+)+)`")


def schemas(models: Iterable[tuple[type[BaseModel], Mode]]) -> tuple[Schema, dict[type[BaseModel], Schema]]:
    """The schemas of models and their parts, by name; and each model's place among them.

    Args:
        models: each with its use: `validation` of requests, `serialization` of answers.
    """
    ordered = sorted(models, key=_order)
    places, made = models_json_schema(
        [*ordered], by_alias=True, ref_template=_REF_TEMPLATE, schema_generator=_Described
    )
    objects = _without_aliases(made.get("$defs", {}))
    short = _short_names(objects)
    text = json.dumps([objects, [places[each]["$ref"] for each in ordered]])
    for long, name in short.items():
        text = text.replace(f'"{REF}{long}"', f'"{REF}{name}"')
    definitions, refs = json.loads(text)
    named = {short.get(name, name): _tidied(short.get(name, name), schema) for name, schema in definitions.items()}
    for (_, mode), ref in zip(ordered, refs, strict=True):
        if mode == "validation":
            _leave_out_defaults(ref.removeprefix(REF), named)
    return dict(sorted(named.items())), {model: {"$ref": ref} for (model, _), ref in zip(ordered, refs, strict=True)}


class _Described(GenerateJsonSchema):
    """Explains what it describes."""

    @override
    def model_schema(self, schema: ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        explain(made["properties"], schema["cls"])
        return made


def _leave_out_defaults(name: str, definitions: Mapping[str, Schema]) -> None:
    """Say in words what an absent member of a request means: clients are generated that demand what has a default."""
    properties = definitions[name]["properties"]
    for member in properties.values():
        if "default" in member:
            default = json.dumps(member.pop("default"))
            said = member.get("description", "")
            member["description"] = f"{said} Absent means {default}.".strip()
        for part in _REFERENCE.findall(json.dumps(member)):
            _leave_out_defaults(part, definitions)


def camel(text: str) -> str:
    """Write the names of fields in a docstring as they are in JSON."""
    return _NAMES.sub(lambda found: f"`{to_camel(found[1])}`", text)


def resolve(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """The schema that a reference leads to; any other schema as it is."""
    while (ref := schema.get("$ref")) is not None:
        schema = definitions[ref.removeprefix(REF)]
    return schema


def one_sentence(text: str | None) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((text or "").partition("\n\n")[0].split())


def explain(properties: Schema, model: type[BaseModel]) -> None:
    """Say of each property what the docstring of its model says of it, or of the base that has it."""
    for base in reversed(model.__mro__):
        for attribute, text in _attributes(base.__doc__ or ""):
            if attribute in properties:
                properties[attribute]["description"] = text


def _attributes(doc: str) -> Iterator[tuple[str, str]]:
    """The attributes that a Google-style docstring describes, by their names in JSON."""
    if section := _ATTRIBUTES.search(inspect.cleandoc(doc)):
        for name, text in _ATTRIBUTE.findall(section[1]):
            said = camel(" ".join(text.split()))
            yield to_camel(name), said[0].upper() + said[1:]


def _order(model: tuple[type[BaseModel], Mode]) -> str:
    return f"{model[0].__module__}.{model[0].__qualname__}"


def _without_aliases(definitions: Mapping[str, Schema]) -> dict[str, Schema]:
    """Only the objects; other definitions (names for kinds of text or number) are written out where they are used."""

    def written_out(value: Any) -> Any:  # noqa: ANN401 (any JSON)
        if isinstance(value, list):
            return [written_out(each) for each in value]
        if not isinstance(value, dict):
            return value
        meant = definitions.get(str(value.get("$ref")).removeprefix(REF), {})
        if meant and "properties" not in meant:
            value = {**meant, **value}
            del value["$ref"]
        return {name: written_out(each) for name, each in value.items()}

    return {name: written_out(schema) for name, schema in definitions.items() if "properties" in schema}


def _short_names(definitions: Iterable[str]) -> dict[str, str]:
    """Names without the suffix for requests or answers that pydantic adds.

    Raises:
        ValueError: two models have the same name, which pydantic parts by their modules or by that suffix.
    """
    names = list(definitions)
    # A suffix stands alone where the model shared its name with a kind of text or number, which was written out.
    short = {name: name.rpartition("-")[0] for name in names if name.endswith(_MODES)}
    if any("__" in name for name in names) or len({*short.values(), *names}) < len(short) + len(names):
        raise ValueError(f"two models with one name: {sorted(names)}")
    return short


def _tidied(name: str, schema: Schema) -> Schema:
    """The schema with one sentence about it, and without empty phrases."""
    add_choices(name, schema["properties"])
    plain = one_sentence(schema.pop("description", ""))
    return {**({"description": camel(plain)} if plain else {}), **_without_noise(schema)}


def _without_noise(schema: Schema) -> Schema:
    """The schema without titles that repeat a name, and without defaults of null, which mean absent."""
    kept = {name: value for name, value in schema.items() if name != "title"}
    if kept.get("default", "") is None:
        del kept["default"]
    if "properties" in kept:
        kept["properties"] = {name: _without_noise(value) for name, value in kept["properties"].items()}
    return kept
