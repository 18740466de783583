"""AWS Signature Version 4: in headers for the requests that client.py makes, in URLs and forms for S3.

Ours instead of botocore's signer, which costs 33 ms of a cold start and a fifth of what publishing costs a call
(DECISIONS.md#d62); the tests compare the two. The rules: docs.aws.amazon.com/IAM, "Create a signed AWS API request";
docs.aws.amazon.com/AmazonS3/latest/API, "Authenticating Requests: Using Query Parameters" and "POST Policy".
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

ALGORITHM: Final = "AWS4-HMAC-SHA256"
_UNSIGNED: Final = "UNSIGNED-PAYLOAD"
_END: Final = "aws4_request"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Keys of the function's role.

    Attributes:
        access_key_id: public.
        secret_access_key: never sent.
        session_token: sent with each request; None for a user's key.
    """

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


class Signer:
    """Signs requests of one service in one region; a day's key is made once.

    Args:
        credentials: the keys to sign with.
        service: the name requests are signed for, such as `events`.
        region: such as `eu-west-1`.
    """

    def __init__(self, credentials: Credentials, service: str, region: str) -> None:
        self._credentials = credentials
        self._service = service
        self._region = region
        self._day = ""
        self._scope = ""
        self._key = b""

    def signed(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, at: float | None = None
    ) -> dict[str, str]:
        """The headers of a request with its signature.

        Args:
            method: HTTP method.
            path: as it is sent, percent-encoded, without dot segments or a query.
            headers: with `Host`; all of them are signed.
            body: as it is sent.
            at: seconds since the epoch; now unless given.
        """
        moment = _moment(at)
        whole = {**headers, "X-Amz-Date": moment}
        if self._credentials.session_token:
            whole["X-Amz-Security-Token"] = self._credentials.session_token
        lines = sorted((name.lower(), " ".join(value.split())) for name, value in whole.items())
        names = ";".join(name for name, _ in lines)
        canonical = "\n".join(
            (method, quote(path, safe="/~"), "", *(f"{name}:{value}" for name, value in lines), "", names, _hash(body))
        )
        credential, signature = self._sign(canonical, moment)
        whole["Authorization"] = f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
        return whole

    def url_query(
        self, path: str, host: str, query: Mapping[str, str], *, expires_seconds: int, at: float | None = None
    ) -> str:
        """The query of a URL by which anybody may GET, for a while, what these credentials may.

        Args:
            path: as `signed` takes it.
            host: the value of the header `Host`, the only one that is signed.
            query: further parameters.
            expires_seconds: for how long, from `at`.
            at: seconds since the epoch; now unless given.
        """
        moment = _moment(at)
        token = self._credentials.session_token
        whole = {
            **query,
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": self._credential(moment),
            "X-Amz-Date": moment,
            "X-Amz-Expires": str(expires_seconds),
            "X-Amz-SignedHeaders": "host",
            **({"X-Amz-Security-Token": token} if token else {}),
        }
        pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in whole.items())
        encoded = "&".join(f"{name}={value}" for name, value in pairs)
        canonical = "\n".join(("GET", path, encoded, f"host:{host}", "", "host", _UNSIGNED))
        return f"{encoded}&X-Amz-Signature={self._sign(canonical, moment)[1]}"

    def form_fields(
        self, fields: Mapping[str, str], conditions: Sequence[object], *, until: datetime
    ) -> dict[str, str]:
        """The fields of a form by which anybody may POST one object that these credentials may put.

        Args:
            fields: those of the form, whose values the policy fixes.
            conditions: further conditions of the policy, such as `["content-length-range", 1, 9]`.
            until: when the policy expires.
        """
        moment = _moment(None)
        token = self._credentials.session_token
        whole = {
            **fields,
            "x-amz-algorithm": ALGORITHM,
            "x-amz-credential": self._credential(moment),
            "x-amz-date": moment,
            **({"x-amz-security-token": token} if token else {}),
        }
        policy = {
            "expiration": f"{until.astimezone(UTC):%Y-%m-%dT%H:%M:%S.000Z}",
            "conditions": [*({name: value} for name, value in whole.items()), *conditions],
        }
        whole["policy"] = base64.b64encode(json.dumps(policy).encode()).decode()
        whole["x-amz-signature"] = self._signature(whole["policy"], moment)
        return whole

    def _sign(self, canonical: str, moment: str) -> tuple[str, str]:
        """The credential, and the signature of a canonical request."""
        credential = self._credential(moment)
        to_sign = "\n".join((ALGORITHM, moment, self._scope, _hash(canonical.encode())))
        return credential, self._signature(to_sign, moment)

    def _credential(self, moment: str) -> str:
        self._key_of(moment[:8])
        return f"{self._credentials.access_key_id}/{self._scope}"

    def _signature(self, text: str, moment: str) -> str:
        return hmac.digest(self._key_of(moment[:8]), text.encode(), "sha256").hex()

    def _key_of(self, day: str) -> bytes:
        if day != self._day:
            key = f"AWS4{self._credentials.secret_access_key}".encode()
            for part in (day, self._region, self._service, _END):
                key = hmac.digest(key, part.encode(), "sha256")
            self._day, self._key, self._scope = day, key, f"{day}/{self._region}/{self._service}/{_END}"
        return self._key


def _moment(at: float | None) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
