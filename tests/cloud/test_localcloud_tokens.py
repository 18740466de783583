"""The JWT authorizer accepts and refuses the same tokens as API Gateway, and flattens claims like it."""

import base64
import json
import time
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from support.cloud.engine import Engine


def call(engine: Engine, authorization: str | None, path: str = "/private/x") -> httpx.Response:
    headers = {} if authorization is None else {"Authorization": authorization}
    return engine.http.post(path, headers=headers) if path != "/scoped" else engine.http.get(path, headers=headers)


def claims_seen(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    claims = answer.json()["event"]["requestContext"]["authorizer"]["jwt"]["claims"]
    assert isinstance(claims, dict)
    return claims


def assert_refused(answer: httpx.Response, description: str) -> None:
    assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})
    assert "apigw-requestid" in answer.headers
    assert description in answer.headers["www-authenticate"]


def test_hands_every_claim_over_as_a_string(engine: Engine) -> None:
    token = engine.cloud.issuer.token("u-1", ["customers", "admins"], email_verified=True, nested={"a": [1]})
    claims = claims_seen(call(engine, f"Bearer {token}"))
    assert claims["sub"] == "u-1"
    assert claims["cognito:groups"] == "[customers admins]"
    assert claims["email_verified"] == "true"
    assert claims["nested"] == "map[a:[1]]"
    assert int(claims["exp"]) - int(claims["iat"]) == 3600
    assert all(isinstance(value, str) for value in claims.values())


def test_flattens_an_empty_list(engine: Engine) -> None:
    assert claims_seen(call(engine, engine.cloud.issuer.token("u", [])))["cognito:groups"] == "[]"


@pytest.mark.parametrize("prefix", ["", "Bearer ", "bearer "])
def test_takes_a_token_with_or_without_bearer(engine: Engine, prefix: str) -> None:
    assert call(engine, prefix + engine.cloud.issuer.token("u", [])).status_code == 200


def test_takes_an_id_token_for_it_cannot_tell(engine: Engine) -> None:
    token = engine.cloud.issuer.token("u", [], token_use="id", aud="probe-client", client_id=None)
    assert claims_seen(call(engine, token))["token_use"] == "id"  # noqa: S105 - a kind, no secret


@pytest.mark.parametrize(
    ("changed", "description"),
    [
        ({"expires_in": -1}, "the token has expired"),
        ({"nbf": 2**33}, "not valid yet"),
        ({"iss": "https://other.example.com"}, "invalid issuer"),
        ({"client_id": "other"}, "audience"),
        ({"client_id": None}, "audience"),
        ({"aud": "other"}, "audience"),
        ({"aud": ["other", "another"]}, "audience"),
        ({"exp": None}, "invalid"),
        ({"iss": None}, "invalid"),
        ({"exp": "soon"}, "invalid"),
    ],
)
def test_refuses_claims_that_are_not_good(engine: Engine, changed: dict[str, Any], description: str) -> None:
    assert_refused(call(engine, engine.cloud.issuer.token("u", [], **changed)), description)


def test_lets_an_audience_win_over_a_client_id(engine: Engine) -> None:
    good = engine.cloud.issuer.token("u", [], aud=["other", "probe-client"], client_id="other")
    assert call(engine, good).status_code == 200


@pytest.mark.parametrize("given", [None, "", "Bearer", "nonsense", "a.b.c", "Basic dTpw", "Bearer é.é.é"])
def test_refuses_what_is_no_token(engine: Engine, given: str | None) -> None:
    answer = engine.http.post("/private/x", headers={} if given is None else {b"Authorization": given.encode()})
    assert_refused(answer, "Bearer")


def _payload(engine: Engine) -> dict[str, Any]:
    return jwt.decode(engine.cloud.issuer.token("u", ["admins"]), options={"verify_signature": False})


def test_refuses_a_token_without_signature(engine: Engine) -> None:
    header = {"alg": "none", "typ": "JWT", "kid": engine.cloud.issuer.key_id}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, _payload(engine))]
    assert_refused(call(engine, b".".join([*parts, b""]).decode()), "invalid")


@pytest.mark.parametrize("algorithm", ["RS256", "RS512"])
def test_refuses_another_key_under_our_key_id(engine: Engine, algorithm: str) -> None:
    key = rsa.generate_private_key(65537, 2048)
    forged = jwt.encode(_payload(engine), key, algorithm, headers={"kid": engine.cloud.issuer.key_id})
    assert_refused(call(engine, forged), "invalid")


def test_refuses_a_key_it_does_not_know(engine: Engine) -> None:
    key = rsa.generate_private_key(65537, 2048)
    assert_refused(call(engine, jwt.encode(_payload(engine), key, "RS256", headers={"kid": "mine"})), "key")
    assert_refused(call(engine, jwt.encode(_payload(engine), key, "RS256")), "key")


def test_refuses_the_public_key_as_a_shared_secret(engine: Engine) -> None:
    modulus = engine.http.get("/_dev/issuer/.well-known/jwks.json").json()["keys"][0]["n"]
    forged = jwt.encode(_payload(engine), modulus, "HS256", headers={"kid": engine.cloud.issuer.key_id})
    assert_refused(call(engine, forged), "invalid")


def test_refuses_a_changed_payload(engine: Engine) -> None:
    header, _, signature = engine.cloud.issuer.token("u", []).split(".")
    payload = base64.urlsafe_b64encode(json.dumps(_payload(engine)).encode()).rstrip(b"=").decode()
    assert_refused(call(engine, f"{header}.{payload}.{signature}"), "invalid")


def test_asks_for_the_routes_scopes(engine: Engine) -> None:
    good = call(engine, engine.cloud.issuer.token("u", [], scope="probe/read other"), "/scoped")
    assert good.json()["event"]["requestContext"]["authorizer"]["jwt"]["scopes"] == ["probe/read"]
    bad = call(engine, engine.cloud.issuer.token("u", [], scope="other"), "/scoped")
    assert (bad.status_code, bad.json()) == (403, {"message": "Forbidden"})


def test_publishes_keys_that_verify_its_tokens(engine: Engine) -> None:
    discovery = engine.http.get("/_dev/issuer/.well-known/openid-configuration").json()
    assert discovery["issuer"] == engine.cloud.issuer.url
    client = jwt.PyJWKClient(discovery["jwks_uri"])
    token = engine.cloud.issuer.token("u", [], expires_in=60)
    claims = jwt.decode(token, client.get_signing_key_from_jwt(token), ["RS256"], issuer=discovery["issuer"])
    assert claims["token_use"] == "access"  # noqa: S105 - a kind, no secret
    assert claims["exp"] <= time.time() + 60
