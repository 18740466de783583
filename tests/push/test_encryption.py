"""What a browser gets: sealed as RFC 8291 has it, and signed as RFC 8292 has it."""

import base64
import json

import http_ece
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from autodoctor.push.encryption import CURVE, MOST_BYTES, BadKey, point, sealed, sealed_with
from autodoctor.push.vapid import ORDER, Vapid
from support.push_env import Keys

BROWSER = Keys()


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def private(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(decoded(text)), CURVE)


def test_the_example_of_the_standard() -> None:
    """RFC 8291, appendix A."""
    found = sealed_with(
        b"When I grow up, I want to be a watermelon",
        decoded("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
        decoded("BTBZMqHH6r4Tts7J_aSIgg"),
        private("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"),
        decoded("DGv6ra1nlYgDCS1FRnbzlw"),
    )
    assert found == decoded(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A"
        "_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


@given(st.binary(max_size=MOST_BYTES))
def test_a_browser_reads_what_was_sealed_for_it(message: bytes) -> None:
    body = sealed(message, point(BROWSER.private.public_key()), BROWSER.secret)
    assert len(body) <= 4096
    assert BROWSER.opened(body) == message


def test_nobody_else_reads_it() -> None:
    body = sealed(b"secret", point(BROWSER.private.public_key()), BROWSER.secret)
    assert b"secret" not in body
    for other in (Keys(), Keys(BROWSER.private), Keys(secret=BROWSER.secret)):
        with pytest.raises(http_ece.ECEException):
            other.opened(body)


def test_the_same_message_is_sealed_another_way_each_time() -> None:
    key = point(BROWSER.private.public_key())
    assert sealed(b"again", key, BROWSER.secret) != sealed(b"again", key, BROWSER.secret)


@pytest.mark.parametrize("key", [b"\x04" + bytes(64), b"\x04" * 65, b""])
def test_a_key_that_is_no_point_of_the_curve_is_refused(key: bytes) -> None:
    with pytest.raises(BadKey):
        sealed(b"", key, bytes(16))


def test_the_signature_says_who_sends_to_whom_and_for_how_long() -> None:
    vapid = Vapid("a secret", "mailto:service@example.com")
    scheme, _, said = vapid.authorization("https://push.example", now=1_000_000_000).partition(" ")
    parts = dict(part.strip().split("=", 1) for part in said.split(","))
    assert (scheme, parts["k"]) == ("vapid", vapid.public_key)
    key = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, decoded(parts["k"]))
    claims = jwt.decode(
        parts["t"], key, algorithms=["ES256"], audience="https://push.example", options={"verify_exp": False}
    )
    assert claims == {
        "aud": "https://push.example",
        "exp": 1_000_000_000 + 12 * 3600,
        "sub": "mailto:service@example.com",
    }
    assert json.loads(decoded(parts["t"].split(".")[0])) == {"typ": "JWT", "alg": "ES256"}


def test_a_secret_is_always_the_same_key_and_another_one_another() -> None:
    first, again, other = (Vapid(seed, "mailto:a@b.example").public_key for seed in ("one", "one", "two"))
    assert first == again != other


def test_the_order_of_the_curve_is_that_of_the_library() -> None:
    ec.derive_private_key(ORDER - 1, CURVE)
    with pytest.raises(ValueError, match="out of range"):
        ec.derive_private_key(ORDER, CURVE)
