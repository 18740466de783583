"""Requests that the API's description allows, to every route over HTTP with real tokens: the answers conform to it.

schemathesis makes the requests from the served document, half of them with ids and codes that exist. The examples are
derived from the test's name, as in test_fuzz.py; `-m slow` sends many more.
"""

import base64
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests import Session
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from support.account import Account, Caller
from support.http import openapi_conformance

EXAMPLES: Final = int(os.environ.get("DESCRIPTION_EXAMPLES", "4"))
LONG: Final = int(os.environ.get("DESCRIPTION_EXAMPLES", "50"))
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
RETIRED: Final = ("put", "patch", "delete")  # all methods do the same there; two of five are enough
SCHEMA: Final = schemathesis.openapi.from_dict(openapi_conformance.served())
KEYS: Final = [
    f"{method.upper()} {path}"
    for path, methods in openapi_conformance.served()["paths"].items()
    for method, operation in methods.items()
    if not (operation.get("deprecated") and method in RETIRED)
]


def _can_be_wrong(key: str) -> bool:
    """Whether a request can contradict the description at all."""
    method, _, path = key.partition(" ")
    operation = openapi_conformance.served()["paths"][path][method.lower()]
    parameters = operation.get("parameters", [])
    return "requestBody" in operation or any(each["schema"] != {"type": "string"} for each in parameters)


LONG_RUNS: Final = [
    *((key, GenerationMode.POSITIVE) for key in KEYS),
    *((key, GenerationMode.NEGATIVE) for key in KEYS if _can_be_wrong(key)),
]


@dataclass(frozen=True)
class KnownValues:
    """Something of everything, so that requests find what they ask for.

    Attributes:
        callers: of each group, some in a session and some not.
        known: values that exist, by the name of the field or parameter.
    """

    callers: Mapping[str, list[Caller]]
    known: Mapping[str, list[str]]


def make_known_values(account: Account) -> KnownValues:
    """Make one: a live session, a request in the queue, an unsigned intake, a workshop, an escalated session."""
    admin, busy, idle, waiting, unsigned = (
        account.admin(),
        account.world.mechanic(),
        account.world.mechanic(),
        account.customer(),
        account.customer(),
    )
    customer, mechanic = account.customer(), account.mechanic(busy)
    session = account.live(customer, mechanic).rpartition("/")[2]
    queued, pending = account.queued(waiting), account.pending(unsigned)
    workshop = admin.post("/api/admin/workshops", {"name": "Brake & Co"}, 201)["workshopId"]
    quote = mechanic.post(f"/api/sessions/{session}/escalate", {"workshopId": workshop}, 201)["quoteId"]
    return KnownValues(
        {
            "customers": [customer, waiting, unsigned, account.customer()],
            "mechanics": [mechanic, account.mechanic(idle)],
            "admins": [admin],
        },
        {
            "sessionId": [session, queued["sessionId"], pending["sessionId"]],
            "assignmentId": [queued["assignmentId"], pending["assignmentId"]],
            "mechanicId": [str(busy.id), str(idle.id)],
            "preferredMechanicId": [str(idle.id)],
            "workshopId": [workshop],
            "quoteId": [quote],
            "customerId": [str(customer.user_id)],
            "userId": [str(waiting.user_id), str(idle.user_id)],
            "code": ["standard", "five"],
            "plan": ["free", "standard"],
            "pack": ["five"],
            "slug": ["session-busy"],
        },
    )


def informed(draw: st.DataObject, value: Any, known: Mapping[str, list[str]]) -> Any:  # noqa: ANN401 (any JSON)
    """The same with values that exist, where there are some."""
    if not isinstance(value, dict):
        return value
    return {
        name: draw.draw(st.sampled_from(known[name])) if name in known else informed(draw, each, known)
        for name, each in value.items()
    }


@pytest.fixture(scope="module")
def around(account: Account) -> KnownValues:
    """One for all routes, in their order: what one ends, the next finds ended."""
    return make_known_values(account)


def explore(account: Account, around: KnownValues, key: str, examples: int, mode: GenerationMode) -> None:
    """Send a route what the description allows, or what it forbids; every answer is described."""
    method, _, path = key.partition(" ")
    operation = SCHEMA[path][method.lower()]
    groups = [group for choice in operation.definition.raw["security"] for group in choice["bearerAuth"]]
    callers = [caller for group in groups for caller in around.callers[group]] or [Caller(account.http, None)]

    @settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), data=st.data())
    def send(case: schemathesis.Case[Any], data: st.DataObject) -> None:
        caller = data.draw(st.sampled_from(callers))
        if data.draw(st.booleans()):
            case.path_parameters = informed(data, case.path_parameters, around.known)
            case.query = informed(data, case.query, around.known)
            case.body = informed(data, case.body, around.known)
        headers = {"Authorization": caller.authorization} if caller.authorization else {}
        with Session() as session:
            session.trust_env = False
            answer = case.call(base_url=account.cloud.api_url, session=session, headers=headers, allow_redirects=False)
        case.validate_response(answer, checks=CHECKS, headers=headers)
        names = {name.lower(): values[0] for name, values in answer.headers.items()}
        openapi_conformance.check(
            method, path.replace("{", "").replace("}", ""), answer.status_code, names, answer.text
        )

    send()


@pytest.mark.parametrize("key", KEYS)
def test_answers_are_as_described(account: Account, around: KnownValues, key: str) -> None:
    explore(account, around, key, EXAMPLES, GenerationMode.POSITIVE)


@pytest.mark.slow
@pytest.mark.parametrize(("key", "mode"), LONG_RUNS)
def test_answers_are_as_described_for_long(account: Account, key: str, mode: GenerationMode) -> None:
    explore(account, make_known_values(account), key, LONG, mode)


def test_the_description_is_served_to_everybody(account: Account) -> None:
    anybody = Caller(account.http, None)
    assert anybody.get("/api/openapi.json") == openapi_conformance.served()
    assert anybody.get("/api/asyncapi.json")["asyncapi"] == "3.0.0"
    page = anybody.send("GET", "/api/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["content-security-policy"].split("; ")
    assert policy[0] == "default-src 'none'"
    (script,) = re.findall("<script>(.*?)</script>", page.text, re.DOTALL)
    hashed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert [each for each in policy if "script" in each] == [
        f"script-src 'sha256-{hashed}'",
        "require-trusted-types-for 'script'",
    ]


def test_the_type_of_a_problem_leads_to_its_page(account: Account) -> None:
    refused = account.customer().send("GET", "/api/mechanic/queue")
    assert refused.status_code == 403
    page = Caller(account.http, None).send("GET", refused.json()["type"])
    assert page.status_code == 200
    assert "What to do" in page.text
    assert Caller(account.http, None).send("GET", "/problems/unheard-of").status_code == 404
