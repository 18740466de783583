"""Signing in with the local issuer as the console does: authorization code with PKCE, once, by the same client."""

import base64
import hashlib
import uuid
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest

from support.cloud.engine import Engine

VERIFIER = "a-verifier-that-is-long-enough-for-rfc-7636-0123456789"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
AUTHORIZE, TOKEN, REVOKE = "/_dev/issuer/authorize", "/_dev/issuer/token", "/_dev/issuer/revoke"


def asked(engine: Engine, **changed: str) -> dict[str, str]:
    """The query of a sign-in; `changed` wins."""
    return {
        "response_type": "code",
        "client_id": "probe-client",
        "redirect_uri": home(engine),
        "state": "s-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changed,
    }


def home(engine: Engine) -> str:
    return f"{engine.cloud.api_url}/console/index.html"


def code_for(engine: Engine, person: str) -> str:
    answer = engine.http.get(AUTHORIZE, params=asked(engine, person=person))
    assert answer.status_code == 302
    back = urlsplit(answer.headers["location"])
    assert f"{back.scheme}://{back.netloc}{back.path}" == home(engine)
    query = parse_qs(back.query)
    assert query["state"] == ["s-1"]
    return query["code"][0]


def exchanged(engine: Engine, code: str, **changed: str) -> httpx.Response:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": home(engine),
        "code_verifier": VERIFIER,
        **changed,
    }
    return engine.http.post(TOKEN, data=form)


def renewed(engine: Engine, token: str) -> httpx.Response:
    return engine.http.post(TOKEN, data={"grant_type": "refresh_token", "refresh_token": token})


def test_discovery_names_both_endpoints(engine: Engine) -> None:
    found = engine.http.get("/_dev/issuer/.well-known/openid-configuration").json()
    assert found["authorization_endpoint"] == engine.cloud.api_url + AUTHORIZE
    assert found["token_endpoint"] == engine.cloud.api_url + TOKEN
    assert found["code_challenge_methods_supported"] == ["S256"]


def test_the_page_offers_everybody_and_somebody_new(engine: Engine) -> None:
    page = engine.http.get(AUTHORIZE, params=asked(engine)).text
    assert all(name in page for name in ("Cora Castillo", "Mia Moreno", "Ada Adler", "Somebody new"))
    assert "<script" not in page


@pytest.mark.parametrize(("person", "group"), [("mechanic1", "mechanics"), ("newcomer", "customers")])
def test_who_chose_gets_a_token_that_the_api_takes(engine: Engine, person: str, group: str) -> None:
    token = exchanged(engine, code_for(engine, person)).json()["access_token"]
    assert jwt.decode(token, options={"verify_signature": False})["cognito:groups"] == [group]
    assert engine.http.post("/private/x", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def added(engine: Engine, user: str, group: str) -> httpx.Response:
    """The answer of the pool to a signed AdminAddUserToGroup."""
    headers = {
        "X-Amz-Target": "AWSCognitoIdentityProviderService.AdminAddUserToGroup",
        "Authorization": "AWS4-HMAC-SHA256 Credential=k/20260101/eu-central-1/cognito-idp/aws4_request, "
        f"SignedHeaders=host, Signature={'0' * 64}",
    }
    body = {"UserPoolId": "UserPool", "Username": user, "GroupName": group}
    return engine.http.post("/_aws/cognito-idp/", headers=headers, json=body)


def test_who_was_put_into_a_group_is_offered_and_has_it(engine: Engine) -> None:
    user = str(uuid.uuid4())
    assert [added(engine, user, "mechanics").status_code for _ in range(2)] == [200, 200]
    assert f"User {user}" in engine.http.get(AUTHORIZE, params=asked(engine)).text
    token = exchanged(engine, code_for(engine, user)).json()["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["sub"], claims["cognito:groups"]) == (user, ["customers", "mechanics"])


@pytest.mark.parametrize(
    ("user", "group", "refused"),
    [
        ("mia", "mechanics", "UserNotFoundException"),
        ("57576380-5ace-402d-b42c-30cd0c8be985", "kings", "ResourceNotFoundException"),
    ],
)
def test_the_pool_refuses_as_cognito_does(engine: Engine, user: str, group: str, refused: str) -> None:
    answer = added(engine, user, group)
    assert (answer.status_code, answer.json()["__type"]) == (400, refused)


def test_two_newcomers_are_two_people(engine: Engine) -> None:
    tokens = [exchanged(engine, code_for(engine, "newcomer")).json()["access_token"] for _ in range(2)]
    assert len({jwt.decode(token, options={"verify_signature": False})["sub"] for token in tokens}) == 2


def test_a_code_is_good_once(engine: Engine) -> None:
    code = code_for(engine, "customer1")
    assert exchanged(engine, code).status_code == 200
    assert exchanged(engine, code).json() == {"error": "invalid_grant"}


@pytest.mark.parametrize(
    "changed",
    [{"code_verifier": "another"}, {"redirect_uri": "http://127.0.0.1/else"}, {"grant_type": "password"}],
)
def test_a_code_is_for_who_began(engine: Engine, changed: dict[str, str]) -> None:
    refused = exchanged(engine, code_for(engine, "customer1"), **changed)
    assert (refused.status_code, refused.json()) == (400, {"error": "invalid_grant"})


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": "https://evil.example/console/index.html"},
        {"response_type": "token"},
        {"code_challenge_method": "plain"},
        {"code_challenge": ""},
        {"person": "nobody"},
    ],
)
def test_a_link_that_is_not_the_consoles_is_refused(engine: Engine, changed: dict[str, str]) -> None:
    assert engine.http.get(AUTHORIZE, params=asked(engine, **changed)).status_code == 400


def test_a_sign_in_is_renewed_until_it_would_have_ended(engine: Engine) -> None:
    first = exchanged(engine, code_for(engine, "mechanic1")).json()
    second = renewed(engine, first["refresh_token"]).json()
    before, after = (jwt.decode(each["access_token"], options={"verify_signature": False}) for each in (first, second))
    assert (after["sub"], after["cognito:groups"]) == (before["sub"], before["cognito:groups"])
    headers = {"Authorization": f"Bearer {second['access_token']}"}
    assert engine.http.post("/private/x", headers=headers).status_code == 200
    ends = [jwt.decode(each["refresh_token"], options={"verify_signature": False})["exp"] for each in (first, second)]
    assert abs(ends[0] - ends[1]) <= 1
    assert renewed(engine, first["refresh_token"]).status_code == 200  # the answer may have been lost


def test_a_refresh_token_is_no_token_of_the_api(engine: Engine) -> None:
    tokens = exchanged(engine, code_for(engine, "mechanic1")).json()
    headers = {"Authorization": f"Bearer {tokens['refresh_token']}"}
    assert engine.http.post("/private/x", headers=headers).status_code == 401
    for other in (tokens["access_token"], "nothing", ""):
        refused = renewed(engine, other)
        assert (refused.status_code, refused.json()) == (400, {"error": "invalid_grant"})


def test_who_signed_out_renews_nothing(engine: Engine) -> None:
    token = exchanged(engine, code_for(engine, "mechanic1")).json()["refresh_token"]
    assert engine.http.post(REVOKE, data={"token": token}).status_code == 200
    assert renewed(engine, token).status_code == 400
