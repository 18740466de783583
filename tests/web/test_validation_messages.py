"""Validation errors are worded for people, beside their field."""

import json
import re
from itertools import chain
from typing import Final

import pytest
from pydantic import ValidationError

from autodoctor.admin.mechanics import NewMechanic
from autodoctor.admin.plans import NewPlan
from autodoctor.intake.request import IntakeRequest
from autodoctor.operations.handlers import routes
from autodoctor.room.sockets import EnterRoom, Typing
from autodoctor.web.schemas import RequestBody
from autodoctor.web.validation_messages import validation_message

WRONG: Final[tuple[object, ...]] = (
    None,
    True,
    1.5,
    -1,
    10**30,
    "",
    "x" * 5000,
    "never",
    [],
    [1] * 20,
    ["x"] * 20,
    {},
    {"x": 1},
)
PYDANTICS = re.compile(r"Input|Field|String|List|valid |Value error|\{|\}")


def found(model: type[RequestBody], raw: str) -> dict[str, str]:
    with pytest.raises(ValidationError) as invalid:
        model.model_validate_json(raw)
    return {"/".join(map(str, error["loc"])): validation_message(error) for error in invalid.value.errors()}


def test_a_mechanic_without_a_user() -> None:
    said = found(NewMechanic, '{"userId": "mia", "name": " ", "email": "mia", "workshopId": 5}')
    assert said == {
        "userId": "is not an id, which looks like 0199d3a5-7c00-7a10-8000-0000000000a1",
        "name": "is required",
        "email": "does not have the required form",
        "workshopId": "is not an id, which looks like 0199d3a5-7c00-7a10-8000-0000000000a1",
    }


def test_an_intake_that_is_nothing_but_wrong() -> None:
    said = found(
        IntakeRequest,
        '{"plan": 5, "payWith": "shells", "vehicle": {"year": 1700, "make": ""}, "phone": "1", "urgent": "very",'
        f'"concern": "{"x" * 4001}", "scheduledFor": "2026-1", "preferredMechanicId": "Mia"}}',
    )
    assert said["payWith"] == "must be 'free', 'credit' or 'card'"
    assert said["vehicle/year"] == "must be 1886 or more"
    assert said["phone"] == "must have at least 3 characters"
    assert said["concern"] == "must have no more than 4000 characters"
    assert said["scheduledFor"] == "must be a date and time with its offset, such as 2026-11-21T10:15:00Z"
    assert [each for each in said.values() if PYDANTICS.search(each)] == []


@pytest.mark.parametrize(
    ("model", "raw", "pointer", "words"),
    [
        (IntakeRequest, '{"vehicle": {"year": 9999}}', "vehicle/year", "must not be later than next year"),
        (IntakeRequest, '{"vehicle": {"odometerKm": 1.5}}', "vehicle/odometerKm", "must be a whole number"),
        (IntakeRequest, '{"scheduledFor": "2026-11-22T10:00"}', "scheduledFor", "must be a date and time with its off"),
        (IntakeRequest, "[]", "", "must be an object"),
        (NewPlan, '{"priceCents": -1}', "priceCents", "must be 0 or more"),
    ],
)
def test_one_thing_that_is_wrong(model: type[RequestBody], raw: str, pointer: str, words: str) -> None:
    assert found(model, raw)[pointer].startswith(words)


@pytest.mark.parametrize("model", sorted({each.body for each in routes().values() if each.body}, key=str))
def test_no_wrong_value_of_any_field_is_answered_in_pydantics_words(model: type[RequestBody]) -> None:
    assert words_of(model) == []


@pytest.mark.parametrize("model", [EnterRoom, Typing])
def test_nor_is_one_of_an_action_of_the_socket(model: type[RequestBody]) -> None:
    assert words_of(model) == []


def words_of(model: type[RequestBody]) -> list[str]:
    """Return pydantic's own words about wrong values: of each field by itself, and of what is no object."""
    fields = [each.alias or name for name, each in model.model_fields.items()]
    bodies = chain(("[]", "{", "1"), (json.dumps({name: value}) for name in fields for value in WRONG))
    said: set[str] = set()
    for raw in bodies:
        try:
            model.model_validate_json(raw)
        except ValidationError as invalid:
            said |= {f"{error['loc']}: {validation_message(error)}" for error in invalid.errors()}
    return sorted(each for each in said if PYDANTICS.search(each.partition(": ")[2]))
