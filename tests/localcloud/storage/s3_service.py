"""Those calls of S3's REST API that the deployment uses: POST of a form, GET by a signed URL, DELETE; and CORS.

Buckets are paths here, `/_aws/s3/BUCKET/KEY`. Nothing is public: each call needs a signature, which is checked in
full. Every caller has the rights of the function that signed; a key that is not there is 403, as where nobody may list.
"""

import base64
import binascii
import hashlib
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from localcloud.host.logline import Log, LogLine
from localcloud.messaging.event_bus import BusEvent
from localcloud.services.causes import noted
from localcloud.stack.buckets import BucketSpec, CorsRule, Storage
from localcloud.storage.errors import S3Error, access_denied, invalid_argument
from localcloud.storage.objects import Objects, Stored
from localcloud.storage.post_policy import enforce
from localcloud.storage.scanning import Emit, Scanner
from localcloud.storage.signatures import Signed, check_headers, check_policy, check_url
from localcloud.storage.uploads import Arrived, Form

PREFIX: Final = "/_aws/s3"
_NO_KEY: Final = (
    "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields."
)
_OVERRIDES: Final = {
    "response-cache-control": "Cache-Control",
    "response-content-disposition": "Content-Disposition",
    "response-content-type": "Content-Type",
}


class S3Service:
    """The buckets of a stack, and the scanner of what is uploaded to them."""

    def __init__(self, data_dir: Path, storage: Storage, emit: Emit, log: Log) -> None:
        self._buckets = storage.buckets
        self._objects = {name: Objects(data_dir, name) for name in storage.buckets}
        self._emit = emit
        self._log = log
        self.scanner = Scanner(storage.plans, self._objects, emit, log)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request as S3 would."""
        noted(request.headers)
        request_id = uuid.uuid4().hex[:16].upper()
        bucket_name, _, key = unquote(request.path.removeprefix(PREFIX + "/")).partition("/")
        bucket = self._buckets.get(bucket_name)
        try:
            response = await self._answer(request, bucket, bucket_name, key)
        except S3Error as refused:
            response = refused.response(request_id)
            self._log(LogLine("cloud", f"s3 refused a {request.method}: {refused.code}", str(refused.status)))
        response.headers["x-amz-request-id"] = request_id
        origin = request.headers.get("Origin")
        if bucket is not None and origin and (rule := _rule(bucket, origin, request.method)):
            response.headers.update(_cors_headers(rule, origin))
        return response

    async def _answer(self, request: web.BaseRequest, bucket: BucketSpec | None, name: str, key: str) -> web.Response:
        if bucket is None:
            raise S3Error(404, "NoSuchBucket", "The specified bucket does not exist", {"BucketName": name})
        if request.method == "OPTIONS":
            return _preflight(request, bucket)
        if request.method == "POST" and not key:
            return await self._post(request, bucket)
        if request.method == "GET" and key:
            return self._get(request, bucket, key)
        if request.method == "DELETE" and key:
            check_headers(_signed(request), datetime.now(UTC))
            self._objects[bucket.name].delete(key)
            return web.Response(status=204)
        raise S3Error(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")

    async def _post(self, request: web.BaseRequest, bucket: BucketSpec) -> web.Response:
        form = Form(request)
        fields = await form.fields()
        lower = {name.lower(): value for name, value in fields.items()}
        if "key" not in lower:
            raise invalid_argument(_NO_KEY, "key")
        if "policy" not in lower:
            raise access_denied()
        check_policy(lower)
        lengths = enforce(lower["policy"], fields, bucket.name, datetime.now(UTC))
        objects = self._objects[bucket.name]
        place = objects.scratch()
        try:
            arrived = await form.file(place)
            if lengths is not None:
                lengths.check(arrived.size)
            _check_checksum(lower.get("x-amz-checksum-sha256"), arrived)
            stored = _stored(lower, arrived)
            objects.put(stored, place)
        finally:
            with suppress(FileNotFoundError):
                place.unlink()
        self._came(request, bucket, stored)
        return web.Response(status=204, headers={"ETag": f'"{stored.etag}"', "x-amz-checksum-sha256": stored.sha256})

    def _came(self, request: web.BaseRequest, bucket: BucketSpec, stored: Stored) -> None:
        self._log(LogLine("cloud", f"s3 took an upload of {stored.size} bytes"))
        if bucket.notifies:
            self._emit([_created(request, bucket, stored)])
        self.scanner.came(bucket.name, stored)

    def _get(self, request: web.BaseRequest, bucket: BucketSpec, key: str) -> web.Response:
        signed = _signed(request)
        if "X-Amz-Signature" in dict(parse_qsl(signed.query)):
            check_url(signed, datetime.now(UTC))
        else:
            check_headers(signed, datetime.now(UTC))
        objects = self._objects[bucket.name]
        stored = objects.find(key)
        if stored is None:  # S3 says NoSuchKey only to those who may list
            raise access_denied()
        if any(stored.tags.get(name) != wanted for name, wanted in bucket.readable_if.items()):
            raise access_denied("User is not authorized to perform: s3:GetObject with an explicit deny in a policy")
        headers = {
            "Content-Type": stored.content_type,
            "ETag": f'"{stored.etag}"',
            # Not S3's: here an upload has the console's own origin, and must stay what it says it is.
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'",
        }
        given = dict(parse_qsl(signed.query))
        headers.update({name: given[parameter] for parameter, name in _OVERRIDES.items() if parameter in given})
        return web.Response(body=objects.content(key), headers=headers)


def _signed(request: web.BaseRequest) -> Signed:
    path, _, query = request.raw_path.partition("?")
    return Signed(request.method, path, query, {name.lower(): value for name, value in request.headers.items()})


def _check_checksum(wanted: str | None, arrived: Arrived) -> None:
    if wanted is None:
        return
    try:
        valid = len(base64.b64decode(wanted, validate=True)) == hashlib.sha256().digest_size
    except binascii.Error:
        valid = False
    if not valid:
        raise S3Error(400, "InvalidRequest", "Value for x-amz-checksum-sha256 header is invalid.")
    if wanted != arrived.sha256:
        raise S3Error(400, "BadDigest", "The SHA256 you specified did not match the calculated checksum.")


def _stored(fields: Mapping[str, str], arrived: Arrived) -> Stored:
    return Stored(
        key=fields["key"],
        content_type=fields.get("content-type", "binary/octet-stream"),
        size=arrived.size,
        etag=arrived.etag,
        sha256=arrived.sha256,
        stored_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        tags={},
    )


def _created(request: web.BaseRequest, bucket: BucketSpec, stored: Stored) -> BusEvent:
    detail = {
        "version": "0",
        "bucket": {"name": bucket.name},
        "object": {"key": stored.key, "size": stored.size, "etag": stored.etag, "sequencer": uuid.uuid4().hex[:18]},
        "request-id": uuid.uuid4().hex[:16].upper(),
        "requester": "123456789012",
        "source-ip-address": request.remote or "",
        "reason": "PostObject",
    }
    return BusEvent("aws.s3", "Object Created", detail, resources=(bucket.arn,))


def _rule(bucket: BucketSpec, origin: str, method: str) -> CorsRule | None:
    found = (rule for rule in bucket.cors if {"*", origin} & set(rule.origins) and method in rule.methods)
    return next(found, None)


def _cors_headers(rule: CorsRule, origin: str) -> dict[str, str]:
    headers = {"Access-Control-Allow-Origin": origin, "Vary": "Origin", "Access-Control-Allow-Credentials": "true"}
    return headers | ({"Access-Control-Expose-Headers": ", ".join(rule.exposed)} if rule.exposed else {})


def _preflight(request: web.BaseRequest, bucket: BucketSpec) -> web.Response:
    origin, method = request.headers.get("Origin", ""), request.headers.get("Access-Control-Request-Method", "")
    wanted = [each.strip().lower() for each in request.headers.get("Access-Control-Request-Headers", "").split(",")]
    rule = _rule(bucket, origin, method)
    if rule is None or any(each and not {"*", each} & set(rule.headers) for each in wanted):
        more = {"Method": method, "ResourceType": "BUCKET"}
        raise S3Error(403, "AccessForbidden", "CORSResponse: This CORS request is not allowed.", more)
    headers = {
        **_cors_headers(rule, origin),
        "Access-Control-Allow-Methods": ", ".join(rule.methods),
        "Access-Control-Max-Age": str(rule.max_age_seconds),
    }
    if any(wanted):
        headers["Access-Control-Allow-Headers"] = ", ".join(filter(None, wanted))
    return web.Response(status=200, headers=headers)
