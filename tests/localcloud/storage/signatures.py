"""Signatures of version 4 as S3 checks them, in full: of a form's policy, of a URL, of a request's headers.

The rules: docs.aws.amazon.com/AmazonS3/latest/API, "Authenticating Requests (AWS Signature Version 4)". Written
apart from autodoctor.aws.sigv4, so that each shows the other's mistakes.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

from localcloud.stack.cloudformation import REGION
from localcloud.storage.errors import S3Error, access_denied, invalid_argument, signature_mismatch

ACCESS_KEY: Final = "local"
SECRET_KEY: Final = "local"  # noqa: S105 (what each function's environment has here)
_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_LONGEST_SECONDS: Final = 604_800
_SKEW: Final = timedelta(minutes=15)
_HEADER: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<credential>\S+?), ?SignedHeaders=(?P<signed>\S+?), ?Signature=(?P<signature>\S+)"
)


@dataclass(frozen=True)
class Signed:
    """A request, as far as a signature covers it; `path` and `query` are as they were sent."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


def check_policy(fields: Mapping[str, str]) -> None:
    """Check the signature of a form's policy; `fields` by lower-case name. Raises S3Error."""
    for name in ("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"):
        if name not in fields:
            raise access_denied()
    if fields["x-amz-algorithm"] != _ALGORITHM:
        raise invalid_argument("X-Amz-Algorithm only supports AWS4-HMAC-SHA256", "x-amz-algorithm")
    day = _day_of(fields["x-amz-credential"], fields["x-amz-date"])
    _compare(_key(day), fields["policy"], fields["x-amz-signature"])


def check_url(request: Signed, now: datetime) -> None:
    """Check a presigned URL: its signature, then its time. Raises S3Error."""
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    for name in ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"):
        if f"X-Amz-{name}" not in query:
            raise S3Error(
                400, "AuthorizationQueryParametersError", f"Query-string authentication requires X-Amz-{name}."
            )
    moment = query["X-Amz-Date"]
    day = _day_of(query["X-Amz-Credential"], moment)
    if not query["X-Amz-Expires"].isdecimal() or not 0 < int(query["X-Amz-Expires"]) <= _LONGEST_SECONDS:
        reason = "X-Amz-Expires must be between 1 and 604800 seconds"
        raise S3Error(400, "AuthorizationQueryParametersError", reason)
    pairs = [(name, value) for name, value in _pairs(request.query) if name != "X-Amz-Signature"]
    canonical = _canonical(request, pairs, query["X-Amz-SignedHeaders"].split(";"), "UNSIGNED-PAYLOAD")
    _compare(_key(day), _to_sign(canonical, moment, day), query["X-Amz-Signature"])
    signed_at = _instant(moment)
    expires = signed_at + timedelta(seconds=int(query["X-Amz-Expires"]))
    if signed_at > now + _SKEW:
        raise access_denied("Request is not valid yet")
    if now > expires:
        raise access_denied(
            "Request has expired",
            {
                "X-Amz-Expires": query["X-Amz-Expires"],
                "Expires": f"{expires:%Y-%m-%dT%H:%M:%SZ}",
                "ServerTime": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            },
        )


def check_headers(request: Signed, now: datetime) -> None:
    """Check a request that is signed in its headers. Raises S3Error."""
    found = _HEADER.fullmatch(request.headers.get("authorization", ""))
    if found is None:
        raise access_denied()
    moment, payload = request.headers.get("x-amz-date", ""), request.headers.get("x-amz-content-sha256", "")
    day = _day_of(found["credential"], moment)
    if not payload:
        raise S3Error(400, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
    canonical = _canonical(request, _pairs(request.query), found["signed"].split(";"), payload)
    _compare(_key(day), _to_sign(canonical, moment, day), found["signature"])
    if abs(_instant(moment) - now) > _SKEW:
        raise S3Error(
            403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."
        )


def _day_of(credential: str, moment: str) -> str:
    """The day of a credential `KEY/DAY/REGION/s3/aws4_request`, which is ours and fits the moment."""
    parts = credential.split("/")
    if len(parts) != 5 or parts[2:] != [REGION, "s3", "aws4_request"] or not moment.startswith(parts[1] or "?"):
        raise S3Error(
            400, "AuthorizationHeaderMalformed", f"The credential {credential} is not one for s3 in {REGION}."
        )
    if parts[0] != ACCESS_KEY:
        reason = "The AWS Access Key Id you provided does not exist in our records."
        raise S3Error(403, "InvalidAccessKeyId", reason, {"AWSAccessKeyId": parts[0]})
    return parts[1]


def _instant(moment: str) -> datetime:
    try:
        return datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise access_denied("AWS authentication requires a valid Date or x-amz-date header") from error


def _pairs(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=True)


def _canonical(request: Signed, pairs: Iterable[tuple[str, str]], signed: list[str], payload: str) -> str:
    encoded = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in pairs)
    lines = [f"{name}:{' '.join(request.headers.get(name, '').split())}" for name in signed]
    query = "&".join(f"{name}={value}" for name, value in encoded)
    return "\n".join((request.method, urlsplit(request.path).path, query, *lines, "", ";".join(signed), payload))


def _to_sign(canonical: str, moment: str, day: str) -> str:
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return "\n".join((_ALGORITHM, moment, f"{day}/{REGION}/s3/aws4_request", digest))


def _key(day: str) -> bytes:
    key = b"AWS4" + SECRET_KEY.encode()
    for part in (day, REGION, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _compare(key: bytes, text: str, signature: str) -> None:
    if not hmac.compare_digest(hmac.digest(key, text.encode(), "sha256").hex(), signature):
        raise signature_mismatch()
