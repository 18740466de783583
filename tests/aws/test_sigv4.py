"""Signatures of AWS Signature Version 4: botocore's signer makes the same."""

import base64
import datetime as dt
import json
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from botocore.auth import S3SigV4PostAuth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given
from hypothesis import strategies as st

from autodoctor.aws.sigv4 import Credentials, Signer

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"  # noqa: S105 (of AWS's documentation)
BUCKET = "files.s3.eu-west-1.amazonaws.com"
HOST = "events.eu-west-1.amazonaws.com"
NAMES = st.from_regex(r"\A[A-Za-z][A-Za-z0-9-]{0,12}\Z").map(lambda name: f"Own-{name}")
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
MOMENTS = st.datetimes(dt.datetime(2020, 1, 1), dt.datetime(2037, 1, 1)).map(  # noqa: DTZ001 (made aware)
    lambda each: each.replace(microsecond=0, tzinfo=dt.UTC)
)
PATHS = st.lists(st.text(max_size=12).filter(lambda part: part not in ("", ".", "..")), max_size=4).map(
    lambda parts: "/" + "/".join(quote(part, safe="") for part in parts)
)


@dataclass(frozen=True)
class Unsigned:
    """A request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def by_botocore(self, moment: dt.datetime, token: str | None = None) -> str:
        """The header Authorization that botocore's signer makes at a moment."""
        url = f"https://{self.headers['Host']}{self.path}"
        request = AWSRequest(method=self.method, url=url, data=self.body, headers=self.headers)
        signer = SigV4Auth(BotoCredentials("AKIDEXAMPLE", SECRET, token), "events", "eu-west-1")
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("botocore.auth.get_current_datetime", lambda: moment)
            signer.add_auth(request)
        authorization: str = request.headers["Authorization"]
        return authorization

    def by_us(self, moment: dt.datetime, signer: Signer) -> dict[str, str]:
        """The headers that ours makes."""
        return signer.signed(self.method, self.path, self.headers, self.body, at=moment.timestamp())


def ours(token: str | None = None) -> Signer:
    """Our signer, for the same."""
    return Signer(Credentials("AKIDEXAMPLE", SECRET, token), "events", "eu-west-1")


REQUESTS = st.builds(
    Unsigned,
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    path=PATHS,
    headers=st.dictionaries(NAMES, VALUES, max_size=4).map(
        lambda own: {"Host": HOST, **{name: own[name] for name in {name.lower(): name for name in own}.values()}}
    ),
    body=st.binary(max_size=200),
)


@given(request=REQUESTS, moment=MOMENTS, token=st.none() | VALUES)
def test_botocore_makes_the_same_signature(request: Unsigned, moment: dt.datetime, token: str | None) -> None:
    signed = request.by_us(moment, ours(token))
    assert signed["Authorization"] == request.by_botocore(moment, token)
    assert signed["X-Amz-Date"] == f"{moment:%Y%m%dT%H%M%SZ}"
    assert signed.get("X-Amz-Security-Token") == token
    assert request.headers.items() <= signed.items()


def test_a_signer_follows_the_day() -> None:
    """Its key is good for one day only, by UTC."""
    signer = ours()
    request = Unsigned("POST", "/", {"Host": HOST}, b"{}")
    midnight = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
    for seconds in (-1, 0, -1):
        moment = midnight + dt.timedelta(seconds=seconds)
        assert request.by_us(moment, signer)["Authorization"] == request.by_botocore(moment)


def test_blanks_within_a_value_count_as_one() -> None:
    moment = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
    request = Unsigned("POST", "/", {"Host": HOST, "Content-Type": " text/plain;   charset=utf-8 "}, b"")
    assert request.by_us(moment, ours())["Authorization"] == request.by_botocore(moment)


def test_the_secret_is_not_shown() -> None:
    assert SECRET not in repr(ours())
    assert SECRET not in repr(Credentials("AKIDEXAMPLE", SECRET, "token"))
    assert "token" not in repr(Credentials("AKIDEXAMPLE", SECRET, "token"))


KEYS = st.text(max_size=20).map(lambda name: "uploads/" + quote(name, safe=""))


@given(key=KEYS, moment=MOMENTS, token=st.none() | VALUES, shown=st.text(max_size=20))
def test_botocore_makes_the_same_url(key: str, moment: dt.datetime, token: str | None, shown: str) -> None:
    query = {"response-content-disposition": shown}
    signer = Signer(Credentials("AKIDEXAMPLE", SECRET, token), "s3", "eu-west-1")
    url = f"https://{BUCKET}/{key}"
    made = signer.url_query(f"/{key}", BUCKET, query, expires_seconds=60, at=moment.timestamp())
    request = AWSRequest(method="GET", url=url, params=query)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("botocore.auth.get_current_datetime", lambda: moment)
        S3SigV4QueryAuth(BotoCredentials("AKIDEXAMPLE", SECRET, token), "s3", "eu-west-1", expires=60).add_auth(request)
    assert dict(parse_qsl(made)) == dict(parse_qsl(urlsplit(request.url).query))


@given(token=st.none() | VALUES, value=VALUES)
def test_botocore_makes_the_same_form(token: str | None, value: str) -> None:
    until = dt.datetime(2026, 11, 30, 12, 10, tzinfo=dt.UTC)
    signer = Signer(Credentials("AKIDEXAMPLE", SECRET, token), "s3", "eu-west-1")
    fields, more = {"key": "uploads/x.png", "Content-Type": value}, [{"bucket": "files"}]
    ours = signer.form_fields(fields, more, until=until)
    signed = {name: each for name, each in ours.items() if name not in ("policy", "x-amz-signature")}
    policy = json.loads(base64.b64decode(ours["policy"]))
    assert policy["expiration"] == "2026-11-30T12:10:00.000Z"
    assert policy["conditions"] == [*({name: each} for name, each in signed.items()), *more]
    assert signed.get("x-amz-security-token") == token
    theirs = S3SigV4PostAuth(BotoCredentials("AKIDEXAMPLE", SECRET, token), "s3", "eu-west-1")
    request = AWSRequest(method="POST", url="https://files.example")
    request.context["timestamp"] = ours["x-amz-date"]
    assert theirs.signature(ours["policy"], request) == ours["x-amz-signature"]
    assert theirs.credential_scope(request) == ours["x-amz-credential"].partition("/")[2]
