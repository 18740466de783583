"""The authorisation matrix: every route, every kind of caller, over real HTTP, with the exact status."""

import base64
import hmac
import json
import re
import time
from collections.abc import Callable

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from autodoctor.ids import new_id
from autodoctor.intake.create import SessionCreated
from localcloud.commands.samples import INTAKE
from support.account import Account, Caller
from support.http.access_matrix import CALLERS, ROUTES, Route, Scenario


def scenario_of(account: Account, route: Route) -> Scenario:
    customer, mechanic = new_id(), account.world.mechanic()
    return Scenario(account, customer, mechanic, route.scenario(account, customer, mechanic))


def send(route: Route, caller: Caller, session: SessionCreated) -> tuple[int, dict[str, object]]:
    path = route.path.format(session=session.session_id, assignment=session.assignment_id)
    response = caller.send(route.method, path, route.body(session) if route.body else None)
    return response.status_code, response.json()


def test_the_matrix_has_every_route_that_wants_a_login(account: Account) -> None:
    asked = {f"{route.method} {route.path}" for route in account.cloud.stack.routes if route.authorizer}
    pattern = str.maketrans({"{": "", "}": ""})
    ours = {f"{route.method} {route.path.partition('?')[0]}".translate(pattern) for route in ROUTES.values()}
    # where it is no assignment, whatever has no such id
    named = {
        re.sub("{[^}]*}", lambda found: {"{assignmentId}": "assignment"}.get(found[0], "session"), key) for key in asked
    }
    assert ours == named


@pytest.mark.parametrize("who", CALLERS)
@pytest.mark.parametrize("what", ROUTES)
def test_who_may_do_what(account: Account, what: str, who: str) -> None:
    route = ROUTES[what]
    scenario = scenario_of(account, route)
    status, document = send(route, CALLERS[who](scenario), scenario.session)
    assert status == route.statuses.get(who, 403)
    assert status < 400 or document["status"] == status


def test_a_new_customer_may_start_an_intake(account: Account) -> None:
    assert account.customer().send("POST", "/api/intake/start", INTAKE).status_code == 201


# --- what is no login at all: each is 401 on every route ------------------------------------------


def forged(account: Account, kid: str | None = None) -> str:
    """A token with the right claims, signed with a key of one's own."""
    headers = {"kid": kid or account.cloud.issuer.key_id}
    return jwt.encode(claims_of(account), ANOTHER_KEY, algorithm="RS256", headers=headers)


ANOTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def claims_of(account: Account) -> dict[str, object]:
    """The claims of a good token, with a group that its user is not in."""
    good = str(account.customer().authorization).removeprefix("Bearer ")
    claims: dict[str, object] = jwt.decode(good, options={"verify_signature": False})
    return {**claims, "cognito:groups": ["admins"]}


def without_signature(account: Account) -> str:
    return f"{part({'alg': 'none', 'kid': account.cloud.issuer.key_id})}.{part(claims_of(account))}."


def public_key_as_secret(account: Account) -> str:
    """Signed with what everybody knows, in the hope that the checker takes the algorithm from the token."""
    (key,) = jwt.PyJWKSet.from_dict(dict(account.cloud.issuer.key_set())).keys
    secret = key.key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signed = f"{part({'alg': 'HS256', 'kid': account.cloud.issuer.key_id})}.{part(claims_of(account))}"
    signature = hmac.digest(secret, signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def altered(account: Account) -> str:
    """A good token in which somebody made an admin of themselves."""
    head, _, signature = str(account.customer().authorization).removeprefix("Bearer ").split(".")
    return f"{head}.{part(claims_of(account))}.{signature}"


REFUSED_BY_THE_GATEWAY: dict[str, Callable[[Account], str | None]] = {
    "none": lambda _account: None,
    "empty": lambda _account: "Bearer",
    "garbage": lambda _account: "Bearer x.y.z",
    "expired": lambda account: account.caller("admins", expires_in=-1).authorization,
    "not valid yet": lambda account: account.caller("admins", nbf=int(time.time()) + 60).authorization,
    "wrong audience": lambda account: account.caller("admins", client_id="another").authorization,
    "wrong audience beside the right client": lambda account: account.caller("admins", aud="another").authorization,
    "wrong issuer": lambda account: account.caller("admins", iss="https://issuer.example").authorization,
    "no expiry": lambda account: account.caller("admins", exp=None).authorization,
    "wrong key": forged,
    "unknown key": lambda account: forged(account, kid="another"),
    "alg none": without_signature,
    "public key as secret": public_key_as_secret,
    "altered": altered,
}
REFUSED_BY_THE_FUNCTION: dict[str, Callable[[Account], str | None]] = {
    "ID token": lambda account: account.caller("customers", token_use="id").authorization,
    "subject is no user": lambda account: f"Bearer {account.cloud.issuer.token('service', ['customers'])}",
}


@pytest.mark.parametrize("login", REFUSED_BY_THE_GATEWAY)
@pytest.mark.parametrize("what", ROUTES)
def test_what_the_gateway_takes_for_no_login(account: Account, what: str, login: str, anything: SessionCreated) -> None:
    caller = Caller(account.http, REFUSED_BY_THE_GATEWAY[login](account))
    assert send(ROUTES[what], caller, anything) == (401, {"message": "Unauthorized"})


@pytest.mark.parametrize("login", REFUSED_BY_THE_FUNCTION)
@pytest.mark.parametrize("what", ROUTES)
def test_what_the_function_takes_for_no_login(
    account: Account, what: str, login: str, anything: SessionCreated
) -> None:
    caller = Caller(account.http, REFUSED_BY_THE_FUNCTION[login](account))
    status, document = send(ROUTES[what], caller, anything)
    assert (status, document["type"]) == (401, "/problems/unauthenticated")


@pytest.mark.parametrize("login", [*REFUSED_BY_THE_GATEWAY, *REFUSED_BY_THE_FUNCTION])
def test_what_is_retired_asks_for_no_login(account: Account, login: str) -> None:
    authorization = (REFUSED_BY_THE_GATEWAY | REFUSED_BY_THE_FUNCTION)[login](account)
    assert Caller(account.http, authorization).send("POST", "/api/mechanic/accept").status_code == 410


@pytest.fixture(scope="module")
def anything(account: Account) -> SessionCreated:
    """A session for requests that never reach it."""
    return account.world.live(account.world.mechanic(), new_id())


# --- what changes while a token lives -------------------------------------------------------------


def test_a_mechanic_suspended_in_the_middle_may_leave_and_end_but_take_nothing_new(account: Account) -> None:
    mechanic = account.world.mechanic()
    caller, session = account.mechanic(mechanic), account.live(account.customer(), account.mechanic(mechanic))
    account.sql("UPDATE mechanics SET status = 'suspended' WHERE id = %s", mechanic.id)
    refused = caller.send("GET", "/api/mechanic/queue")
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/mechanic-not-active")
    assert caller.post(f"{session}/leave")["sessionStatus"] == "live"
    assert caller.post(f"{session}/end")["status"] == "cancelled"


def test_an_erased_customer_cannot_start_again(account: Account) -> None:
    customer = account.customer()
    intake = account.pending(customer)
    customer.post(f"/api/sessions/{intake['sessionId']}/end")
    account.sql("UPDATE customers SET erased_at = now() WHERE user_id = %s", customer.user_id)
    refused = customer.send("POST", "/api/intake/start", INTAKE)
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/customer-erased")


TWO_GROUPS: dict[str, object] = {"cognito:groups": ["customers", "mechanics"]}


def test_one_user_in_two_groups_is_both(account: Account) -> None:
    mechanic = account.world.mechanic()
    both = account.caller("customers", mechanic.user_id, expires_in=60, **TWO_GROUPS)
    intake = account.queued(both)
    refused = both.send("POST", f"/api/mechanic/assignments/{intake['assignmentId']}/accept")
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/own-session")
    shown = both.get("/api/mechanic/queue", limit="100")["assignments"]
    assert intake["sessionId"] not in {assignment["sessionId"] for assignment in shown}
