"""The AsyncAPI 3.0 document: the events on the bus, and the messages of the WebSocket."""

from collections.abc import Mapping
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic.alias_generators import to_camel, to_pascal

from autodoctor.describe.choices import add_choices
from autodoctor.describe.feed_messages import ACTIONS, MESSAGES, ROOM_MESSAGES, FeedMessage
from autodoctor.describe.samples import example
from autodoctor.describe.schemas import REF, Schema, explain, schemas
from autodoctor.events.model import MODELS, SOURCE, json_schemas

VERSION: Final = "1.0.0"
_INTRODUCTION: Final = """\
Two ways to learn what happens. The bus is for the operators of this service: a rule with a target makes a new \
consumer. The feed is for its users: a WebSocket with messages about a customer's sessions or a mechanic's queue. \
Both are hints, delivered at least once; the HTTP API has the present state."""
_BUS: Final = """\
An EventBridge bus of the service's own account (its name is an output of the stack). Every committed transition is \
published at least once: be idempotent on `eventId`. The bus keeps no order; `sessionSeq` grows within a session. \
Events carry ids and facts, never personal data. Within version 1, fields are only added. \
`autodoctor events schema` prints the schema of each detail separately."""
_FEED: Final = """\
Fetch a ticket (POST /api/realtime/ticket), connect to its `url` with `?ticket=TICKET`, within 60 seconds and once. \
What a connection gets follows the groups of the token. `seq` grows, with gaps; a client that reconnects with \
`&since=SEQ&feed=FEED` gets what it missed, or `resync`. API Gateway closes a connection that is silent for 10 \
minutes, and any after 2 hours: send something now and then, and reconnect. A party of a session sends the action \
`room` to enter its room: `room` answers with the messages after `after`, and from then on `message`, `read`, `typing` \
and `present` come, each with its `sessionId`. Messages of a room have a `seq` of their own, without gaps: order them \
by it, and enter again with the last one you have where one is missing, and after every reconnect."""
_STATUS: Final = {"created": "pending", "ended": "completed", "opened": "queued"}
"""The status in the example of an event whose type does not name it."""
_ENVELOPE: Final[Schema] = {
    "description": "The envelope that EventBridge sends to a target.",
    "type": "object",
    "properties": {
        "version": {"const": "0"},
        "id": {"type": "string", "description": "Id of this delivery to the bus; be idempotent on `eventId` instead."},
        "detail-type": {"type": "string"},
        "source": {"const": SOURCE},
        "account": {"type": "string"},
        "time": {"type": "string", "format": "date-time"},
        "region": {"type": "string"},
        "resources": {"type": "array", "items": {"type": "string"}},
        "detail": {"type": "object"},
    },
    "required": ["detail-type", "source", "detail"],
}


def asyncapi() -> dict[str, Any]:
    """Write the document."""
    flat = {model for model, _ in (*ROOM_MESSAGES.values(), *ACTIONS.values())}
    models = {message.payload for message in MESSAGES.values() if message.payload} | flat
    definitions, places = schemas((model, "serialization") for model in models)
    feed = {name: _feed_message(name, each, places, definitions) for name, each in MESSAGES.items()}
    rooms, questions = (
        {name: _flat_message(name, places[model], text, definitions) for name, (model, text) in messages.items()}
        for messages in (ROOM_MESSAGES, ACTIONS)
    )
    feed |= rooms
    bus = {}
    for name, schema in json_schemas():
        definitions[_detail_name(name)] = _explained(_alone(schema), name)
        bus[to_camel(name.replace(".", "_"))] = _bus_message(name, definitions)
    definitions["Envelope"] = _ENVELOPE
    return {
        "asyncapi": "3.0.0",
        "id": "urn:autodoctor:sessions",
        "info": {
            "title": "AutoDoctor Sessions: events",
            "version": VERSION,
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {"bus": _bus_channel(bus), "feed": _feed_channel([*feed, *questions])},
        "operations": _operations(bus, feed, questions),
        "components": {
            "messages": bus | feed | questions,
            "schemas": dict(sorted(definitions.items())),
            "securitySchemes": {
                "ticket": {
                    "type": "httpApiKey",
                    "in": "query",
                    "name": "ticket",
                    "description": "From POST /api/realtime/ticket: works once, within 60 seconds.",
                }
            },
        },
    }


def _servers() -> Schema:
    return {
        "feed": {
            "host": "{host}",
            "pathname": "/{stage}",
            "protocol": "wss",
            "description": "From `url` in the answer to POST /api/realtime/ticket.",
            "variables": {
                "host": {
                    "description": "Of the WebSocket API.",
                    "examples": ["abc123.execute-api.eu-west-1.amazonaws.com"],
                },
                "stage": {"description": "Of the WebSocket API.", "default": "live"},
            },
            "security": [{"$ref": "#/components/securitySchemes/ticket"}],
        },
        "bus": {
            "host": "events.{region}.amazonaws.com",
            "protocol": "eventbridge",
            "description": "Amazon EventBridge, in the account that the service runs in.",
            "variables": {"region": {"description": "AWS region of the service.", "examples": ["eu-west-1"]}},
        },
    }


def _bus_channel(messages: Mapping[str, Schema]) -> Schema:
    return {
        "address": None,
        "title": "Event bus",
        "description": _BUS,
        "servers": [{"$ref": "#/servers/bus"}],
        "messages": {name: _ref(name) for name in messages},
    }


def _feed_channel(names: list[str]) -> Schema:
    query = {
        "type": "object",
        "properties": {
            "ticket": {"type": "string"},
            "since": {"type": "integer", "minimum": 0, "description": "The last `seq` that the client has."},
            "feed": {"type": "string", "format": "uuid", "description": "The feed that it is of."},
        },
        "required": ["ticket"],
    }
    return {
        "address": "/",
        "title": "Feed",
        "description": _FEED,
        "servers": [{"$ref": "#/servers/feed"}],
        "messages": {name: _ref(name) for name in names},
        "bindings": {"ws": {"method": "GET", "query": query}},
    }


def _operations(bus: Mapping[str, Schema], feed: Mapping[str, Schema], questions: Mapping[str, Schema]) -> Schema:
    return {
        "publishEvent": _operation("send", "bus", bus, "Every transition, and the outcome of payments and payouts."),
        "pushMessage": _operation("send", "feed", feed, "Messages about the user's sessions, or their queue."),
        "takeQuestion": _operation("receive", "feed", questions, "The requests of a client."),
    }


def _operation(action: str, channel: str, messages: Mapping[str, Schema], text: str) -> Schema:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": text,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages],
    }


def _bus_message(name: str, definitions: Mapping[str, Schema]) -> Schema:
    detail = {"$ref": f"{REF}{_detail_name(name)}"}
    happened = example(detail, definitions)
    if "status" in happened:
        status = name.partition(".")[2]
        happened["status"] = _STATUS.get(status, status)
    narrower = {"properties": {"detail-type": {"const": name}, "detail": detail}}
    shown = {"version": "0", "detail-type": name, "source": SOURCE, "detail": happened}
    return {
        "name": name,
        "title": name,
        "summary": definitions[_detail_name(name)].get("description", ""),
        "payload": {"allOf": [{"$ref": f"{REF}Envelope"}, narrower]},
        "examples": [{"name": name.replace(".", "-"), "payload": shown}],
    }


def _feed_message(
    name: str, message: FeedMessage, places: Mapping[type[BaseModel], Schema], definitions: Mapping[str, Schema]
) -> Schema:
    properties: Schema = {"type": {"const": name}}
    if message.payload is not None:
        properties["seq"] = {"type": "integer", "description": "Grows over all messages, with gaps."}
        properties["payload"] = places[message.payload]
    payload: Schema = {"type": "object", "properties": properties, "required": [*properties]}
    return {
        "name": name,
        "title": name,
        "summary": message.text,
        "payload": payload,
        "examples": [{"name": name, "payload": example(payload, definitions)}],
        "x-groups": [*message.groups],
    }


def _flat_message(name: str, place: Schema, text: str, definitions: Mapping[str, Schema]) -> Schema:
    """A message that is its model, without the feed's `seq` and `payload`."""
    return {
        "name": name,
        "title": name,
        "summary": text,
        "payload": place,
        "examples": [{"name": name, "payload": example(place, definitions)}],
    }


def _alone(schema: Schema) -> Schema:
    """A schema with its own definitions written out where they are used, so that it needs none but itself."""
    definitions = schema.pop("$defs", {})

    def written_out(value: Any) -> Any:  # noqa: ANN401 (any JSON)
        if isinstance(value, list):
            return [written_out(each) for each in value]
        if not isinstance(value, dict):
            return value
        meant = definitions.get(str(value.get("$ref")).removeprefix("#/$defs/"), {})
        return {name: written_out(each) for name, each in {**meant, **value}.items() if name not in ("$ref", "title")}

    alone: Schema = written_out(schema)
    return alone


def _explained(schema: Schema, name: str) -> Schema:
    """The schema with the descriptions that its model's docstrings give to the properties."""
    model = next(model for model in MODELS if name in _types(model))
    explain(schema["properties"], model)
    add_choices(model.__name__, schema["properties"])
    return schema


def _types(model: type[BaseModel]) -> tuple[str, ...]:
    annotation: Any = model.model_fields["type"].annotation
    return get_args(getattr(annotation, "__value__", annotation))


def _detail_name(name: str) -> str:
    return f"{to_pascal(name.replace('.', '_'))}Detail"


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/messages/{name}"}
