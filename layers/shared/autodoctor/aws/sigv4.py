"""AWS Signature Version 4 in headers, for the one kind of request that client.py makes.

Ours instead of botocore's signer, which costs 33 ms of a cold start and a fifth of what publishing costs a call
(DECISIONS.md#d62); the tests compare the two. The rules: docs.aws.amazon.com/IAM, "Create a signed AWS API request".
"""

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
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
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
        whole = {**headers, "X-Amz-Date": moment}
        if self._credentials.session_token:
            whole["X-Amz-Security-Token"] = self._credentials.session_token
        lines = sorted((name.lower(), " ".join(value.split())) for name, value in whole.items())
        names = ";".join(name for name, _ in lines)
        canonical = "\n".join(
            (method, quote(path, safe="/~"), "", *(f"{name}:{value}" for name, value in lines), "", names, _hash(body))
        )
        key = self._key_of(moment[:8])
        to_sign = "\n".join((_ALGORITHM, moment, self._scope, _hash(canonical.encode())))
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        credential = f"{self._credentials.access_key_id}/{self._scope}"
        whole["Authorization"] = f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
        return whole

    def _key_of(self, day: str) -> bytes:
        if day != self._day:
            key = f"AWS4{self._credentials.secret_access_key}".encode()
            for part in (day, self._region, self._service, _END):
                key = hmac.digest(key, part.encode(), "sha256")
            self._day, self._key, self._scope = day, key, f"{day}/{self._region}/{self._service}/{_END}"
        return self._key


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
