"""Signed calls of AWS's HTTP APIs at a price that a cold start can afford: one kept connection, our own signer.

The first use of boto3 costs some 120 ms here, its signer 33 ms: too much for what is sent after a customer's call, or
a thousand times per broadcast (DECISIONS.md#d62).
"""

import json
import os
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from autodoctor.aws.errors import ServiceRefused, ServiceUnreachable
from autodoctor.aws.http_client import HttpConnection, HttpResponse
from autodoctor.aws.sigv4 import Credentials, Signer
from autodoctor.settings import required

# In JSON `__type`, with a namespace before a `#`, or `code`; in XML the element Code.
_CODE: Final = re.compile(rb"""(?:"(?:__type|code)"\s*:\s*"(?:[^"#]*#)?|<Code>)([A-Za-z0-9_.-]+)""")


class AwsConnection:
    """A kept connection to one endpoint, opened at first use and again when the other end has closed it.

    Args:
        service: the name requests are signed for, such as `events`.
        endpoint: base URL.
    """

    def __init__(self, service: str, endpoint: str) -> None:
        self.service = service
        self._base = urlsplit(endpoint).path.rstrip("/")
        self._http = HttpConnection(endpoint)
        session_token = os.environ.get("AWS_SESSION_TOKEN")
        credentials = Credentials(required("AWS_ACCESS_KEY_ID"), required("AWS_SECRET_ACCESS_KEY"), session_token)
        self._signer = Signer(credentials, service, required("AWS_REGION"))

    def send(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], *, timeout_seconds: float
    ) -> HttpResponse:
        """Make one signed request.

        Args:
            method: HTTP method.
            path: added to the endpoint, percent-encoded, without a query.
            body: the bytes to send.
            headers: beside those of the signature.
            timeout_seconds: for each wait for the network.

        Raises:
            ServiceUnreachable: the endpoint did not answer in time, or not in HTTP.
        """
        target = self._base + path
        whole = self._signer.signed(method, target, {"Host": self._http.host, **headers}, body)
        if trace := os.environ.get("_X_AMZN_TRACE_ID"):  # of this invocation: X-Ray follows it to what we call
            whole["X-Amzn-Trace-Id"] = trace
        kept = self._http.kept
        try:
            try:
                return self._http.request(method, target, whole, body, timeout_seconds=timeout_seconds)
            except ConnectionError:
                if not kept:
                    raise
            # The other end had closed the kept connection; should it have read the request, this is its second time.
            return self._http.request(method, target, whole, body, timeout_seconds=timeout_seconds)
        except OSError as failure:
            raise ServiceUnreachable(self.service) from failure

    def call(
        self, target: str, parameters: Mapping[str, object], *, version: str, path: str = "/", timeout_seconds: float
    ) -> bytes:
        """Ask for one action in AWS's JSON protocol; returns the body of the answer.

        Args:
            target: the protocol's name of service and action, such as `AmazonSQS.SendMessage`.
            parameters: of the action.
            version: of the protocol, such as `1.0`.
            path: added to the endpoint.
            timeout_seconds: for each wait for the network.

        Raises:
            ServiceRefused: the service answered with an error.
            ServiceUnreachable: it did not answer in time.
        """
        headers = {"Content-Type": f"application/x-amz-json-{version}", "X-Amz-Target": target}
        answer = self.send("POST", path, json.dumps(parameters).encode(), headers, timeout_seconds=timeout_seconds)
        self.check(target.partition(".")[2], answer)
        return answer.body

    def check(self, action: str, answer: HttpResponse) -> None:
        """See that an answer is 200.

        Raises:
            ServiceRefused: it is not.
        """
        if answer.status != HTTPStatus.OK:
            code = _CODE.search(answer.body)
            raise ServiceRefused(self.service, action, answer.status, code[1].decode() if code else None)

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        self._http.close()


def endpoint(service_id: str, host: str) -> str:
    """The base URL of a service in this region.

    Args:
        service_id: as in boto3's variable `AWS_ENDPOINT_URL_<SERVICE_ID>`, which wins; then comes `AWS_ENDPOINT_URL`,
            which is for all services.
        host: the service's host name without region and suffix.
    """
    return elsewhere(service_id) or f"https://{host}.{regional_domain()}"


def elsewhere(service_id: str) -> str | None:
    """Where the environment says that a service answers, in boto3's variables; None: at its usual address."""
    return os.environ.get(f"AWS_ENDPOINT_URL_{service_id}") or os.environ.get("AWS_ENDPOINT_URL") or None


def regional_domain() -> str:
    """The domain of this region's services: CloudFormation's `${AWS::Region}.${AWS::URLSuffix}`."""
    region = required("AWS_REGION")
    return f"{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"
