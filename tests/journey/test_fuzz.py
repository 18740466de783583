"""Random requests to every route: the answer is a success or a 4xx with a reason, never a 5xx.

The examples are derived from the test's name (derandomize), so that a run in CI can be repeated as it was:
`FUZZ_EXAMPLES=2000 uv run pytest tests/journey/test_fuzz.py` looks further than the default run.
"""

import json
import os
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autodoctor.ids import new_id
from localcloud.commands.samples import INTAKE_WITH_WAIVER
from support.account import Account, Caller

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "25"))
fuzzed = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

INTERNAL = ("Traceback", "psycopg", "pydantic", "SELECT", "postgres", ".py", "/work", "autodoctor_app")

# Every character, also the ones that have no UTF-8 (written as \\udXXX escapes in JSON).
texts = st.text(st.characters(exclude_categories=()), max_size=40) | st.sampled_from(
    ["", "\x00", "null", "2026-11-21T10:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "x" * 300]
)
numbers = st.integers() | st.integers(-(10**30), 10**30) | st.floats()
scalars = st.none() | st.booleans() | numbers | texts | st.builds(lambda: str(new_id()))
anything: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
BODIES: dict[str, dict[str, Any]] = {
    "intake/start": {
        **INTAKE_WITH_WAIVER,
        "phone": "555 0100",
        "urgent": True,
        "preferredMechanicId": None,
        "workshopId": None,
        "scheduledFor": None,
    },
    "waiver/submit": {"sessionId": "", "signedName": "Cora", "waiverVersion": "1.0"},
    "decline": {"reason": "Too far"},
    "join": {"connectionId": "abc="},
    "leave": {"connectionId": "abc="},
    "end": {"mechanicNotes": "New pads."},
    "release": {},
    "accept": {},
}


@st.composite
def altered(draw: st.DrawFn, good: dict[str, Any]) -> dict[str, Any]:
    """A good body with some fields, also inner ones, replaced, removed or added."""
    body: dict[str, Any] = json.loads(json.dumps(good))
    for _ in range(draw(st.integers(1, 3))):
        target = draw(st.sampled_from([body, *(inner for inner in body.values() if isinstance(inner, dict))]))
        name = draw(st.sampled_from(sorted(target))) if target and draw(st.booleans()) else draw(texts)
        if draw(st.integers(0, 4)) == 0:
            target.pop(name, None)
        else:
            target[name] = draw(anything)
    return body


def contents(good: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """A body as bytes: altered, any JSON (with NaN and lone surrogates, as Python writes them), or no JSON."""
    written = (altered(good) | anything).map(lambda document: json.dumps(document).encode())
    cut = st.tuples(written, st.integers(0, 200)).map(lambda pair: pair[0][: pair[1]])
    return written | written | cut | st.binary(max_size=100)


printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=300)
headers = st.fixed_dictionaries(
    {},
    optional={
        "Idempotency-Key": printable.map(str.strip),
        "Content-Type": st.sampled_from(["application/json", "text/plain", "application/octet-stream", ""]),
        "X-Anything": printable.map(str.strip),
    },
).map(lambda given: {name: value.encode("latin-1") for name, value in given.items()})
segments = texts.filter(lambda text: max(text, default="") < "\ud800" and text not in {".", ".."}).map(
    lambda text: quote(text, safe="") or "x"
)
queries = st.dictionaries(st.sampled_from(["limit", "cursor", "x"]), texts, max_size=3).map(
    lambda query: {name: text.encode(errors="replace").decode() for name, text in query.items()}
)


def check(caller: Caller, method: str, path: str, **parts: Any) -> int:  # noqa: ANN401 (parts of a request)
    """Send it; whatever the answer is, it is one that a client can live with."""
    response = caller.send(method, path, **parts)
    assert response.status_code < 500, response.text
    assert response.status_code in {200, 201, 400, 401, 403, 404, 409, 410, 422}
    if response.status_code >= 400 and response.headers["content-type"] != "application/json":
        problem = response.json()
        assert response.headers["content-type"] == "application/problem+json"
        assert {"type", "title", "status", "detail"} <= set(problem)
        assert not [word for word in INTERNAL if word in json.dumps({**problem, "errors": ""})]
    return response.status_code


@pytest.fixture(scope="module", autouse=True)
def logged_before(account: Account) -> int:
    """How much the account had logged before: other files make it fail on purpose."""
    return len(account.lines)


@pytest.mark.parametrize("route", ["intake/start", "waiver/submit"])
def test_any_body_of_a_customer(account: Account, route: str) -> None:
    seen: set[int] = set()

    @fuzzed
    @given(content=contents(BODIES[route]), given_headers=headers)
    def send(content: bytes, given_headers: dict[str, bytes]) -> None:
        seen.add(check(account.customer(), "POST", f"/api/{route}", content=content, headers=given_headers))

    send()
    assert seen >= {400, 422}


@pytest.mark.parametrize("route", ["accept", "decline", "join", "leave", "release", "end"])
def test_any_body_on_a_session_that_is_there(account: Account, route: str) -> None:
    mechanic = account.world.mechanic()
    created = account.world.queued(preferredMechanicId=mechanic.id)
    if route not in {"accept", "decline"}:
        account.world.accept(mechanic, created)
    about = f"mechanic/assignments/{created.assignment_id}" if route in {"accept", "decline"} else ""
    path = f"/api/{about or f'sessions/{created.session_id}'}/{route}"

    @fuzzed
    @given(content=contents(BODIES[route]), given_headers=headers)
    def send(content: bytes, given_headers: dict[str, bytes]) -> None:
        check(account.mechanic(mechanic), "POST", path, content=content, headers=given_headers)

    send()


@pytest.mark.parametrize(
    "template",
    [
        "POST /api/mechanic/assignments/{}/accept",
        "POST /api/mechanic/assignments/{}/decline",
        "POST /api/sessions/{}/join",
        "POST /api/sessions/{}/leave",
        "POST /api/sessions/{}/release",
        "POST /api/sessions/{}/end",
        "GET /api/sessions/{}",
        "PUT /api/mechanics/requests/{}",
        "GET /api/requests/{}",
        "GET /api/{}",
    ],
)
def test_any_id_in_a_path(account: Account, template: str) -> None:
    method, _, path = template.partition(" ")
    mechanic = account.mechanic()

    @fuzzed
    @given(segment=segments)
    def send(segment: str) -> None:
        assert check(mechanic, method, path.format(segment)) in {404, 410}

    send()


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("/api/mechanic/queue", "mechanics"),
        ("/api/customer/sessions", "customers"),
        ("/api/mechanic/sessions", "mechanics"),
        ("/api/customer/active-session", "customers"),
        ("/api/mechanic/active-session", "mechanics"),
    ],
)
def test_any_query(account: Account, path: str, group: str) -> None:
    caller = account.mechanic() if group == "mechanics" else account.customer()

    @fuzzed
    @given(query=queries, given_headers=headers)
    def send(query: dict[str, str], given_headers: dict[str, bytes]) -> None:
        assert check(caller, "GET", path, params=query, headers=given_headers) in {200, 422}

    send()


def test_any_token(account: Account) -> None:
    @fuzzed
    @given(token=printable.map(str.strip))
    def send(token: str) -> None:
        headers = {b"Authorization": token.encode("latin-1")}
        response = account.http.get("/api/mechanic/queue", headers=headers)
        assert (response.status_code, response.json()) == (401, {"message": "Unauthorized"})

    send()


def test_nothing_failed_meanwhile(account: Account, logged_before: int) -> None:
    """Runs last in this file: no function of the account has logged an error or died since its first test."""
    lines = account.lines[logged_before:]
    assert [line for line in lines if " ERROR " in line.text or line.status in {"500", "502", "503"}] == []
