"""The bucket of the files: forms to upload one, URLs to read one, and the deletion of one.

Signed by ourselves (DECISIONS.md#d81): boto3 would cost a cold start 120 ms, and a promise only needs an HMAC.
"""

import base64
import hashlib
import os
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from autodoctor.aws.client import AwsConnection, elsewhere, regional_domain
from autodoctor.aws.sigv4 import Credentials, Signer
from autodoctor.settings import required

UPLOAD_SECONDS: Final = 600
"""How long the form of an upload is good."""
READ_SECONDS: Final = 60
"""How long a URL is good."""
_DELETE_TIMEOUT_SECONDS: Final = 5.0
_EMPTY: Final = hashlib.sha256(b"").hexdigest()


def bucket_url() -> str:
    """Where the bucket answers; locally below the path of S3 there.

    Raises:
        SettingMissing: the deployment does not name the bucket or its region.
    """
    bucket = required("FILES_BUCKET")
    if local := elsewhere("S3"):
        return f"{local}/{bucket}"
    return f"https://{bucket}.s3.{regional_domain()}"


def upload_form(key: str, content_type: str, length: int, sha256: bytes, until: datetime) -> tuple[str, dict[str, str]]:
    """The URL and the fields of a form by which exactly this file may be uploaded; the field `file` comes last.

    Args:
        key: of the object.
        content_type: the only one that is accepted.
        length: in bytes; another one is refused.
        sha256: of the content; S3 compares it.
        until: when the form expires.
    """
    fields = {
        "key": key,
        "Content-Type": content_type,
        "x-amz-checksum-sha256": base64.b64encode(sha256).decode(),
    }
    conditions = [{"bucket": required("FILES_BUCKET")}, ["content-length-range", length, length]]
    return bucket_url(), _signer().form_fields(fields, conditions, until=until)


def read_url(key: str, content_type: str) -> str:
    """A URL by which anybody may read the object for READ_SECONDS; a document is saved, a picture shown."""
    url = f"{bucket_url()}/{key}"
    parts = urlsplit(url)
    shown = "inline" if content_type.startswith("image/") else "attachment"
    query = _signer().url_query(
        parts.path,
        parts.netloc,
        {"response-cache-control": "private, no-store", "response-content-disposition": shown},
        expires_seconds=READ_SECONDS,
    )
    return f"{url}?{query}"


@cache
def _signer() -> Signer:
    session_token = os.environ.get("AWS_SESSION_TOKEN")
    credentials = Credentials(required("AWS_ACCESS_KEY_ID"), required("AWS_SECRET_ACCESS_KEY"), session_token)
    return Signer(credentials, "s3", required("AWS_REGION"))


class Remover:
    """Deletes objects over one kept connection, with the rights of this function's role."""

    @cached_property
    def _bucket(self) -> AwsConnection:
        return AwsConnection("s3", bucket_url())

    def remove(self, key: str) -> None:
        """Delete an object; one that is not there counts as deleted.

        Raises:
            AwsError: S3 refused, or did not answer.
        """
        answer = self._bucket.send(
            "DELETE", f"/{key}", b"", {"x-amz-content-sha256": _EMPTY}, timeout_seconds=_DELETE_TIMEOUT_SECONDS
        )
        if answer.status != HTTPStatus.NO_CONTENT:
            self._bucket.check("DeleteObject", answer)


def upload_deadline() -> datetime:
    """When the form of an upload that is promised now expires."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=UPLOAD_SECONDS)
