"""Signed calls of AWS's HTTP APIs with what a cold start can afford: botocore's signer over one kept connection.

boto3 costs a first use some 120 ms here, its signer 33 ms: what is sent after a customer's call, or a thousand
times a broadcast, goes this way (DECISIONS.md). botocore is part of AWS's image.
"""

import http.client
import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from autodoctor.settings import required


@dataclass(frozen=True, slots=True)
class AwsAnswer:
    """What came back."""

    status: int
    body: bytes


class AwsConnection:
    """A kept connection to one endpoint, opened at first use and again when the other end has closed it.

    Args:
        service: the name requests are signed for, such as `events`.
        endpoint: base URL.
    """

    def __init__(self, service: str, endpoint: str) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._parts = urlsplit(self._endpoint)
        session_token = os.environ.get("AWS_SESSION_TOKEN")
        credentials = Credentials(required("AWS_ACCESS_KEY_ID"), required("AWS_SECRET_ACCESS_KEY"), session_token)
        self._signer = SigV4Auth(credentials, service, required("AWS_REGION"))
        self._connection: http.client.HTTPConnection | None = None

    def send(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], *, timeout_seconds: float
    ) -> AwsAnswer:
        """Make one signed request.

        Args:
            method: HTTP method.
            path: added to the endpoint.
            body: as it is to arrive.
            headers: beside those of the signature.
            timeout_seconds: for each wait for the network.

        Raises:
            OSError: the endpoint did not answer in time, or not in HTTP.
        """
        request = AWSRequest(method=method, url=self._endpoint + path, data=body, headers=dict(headers))
        self._signer.add_auth(request)
        if trace := os.environ.get("_X_AMZN_TRACE_ID"):  # of this invocation: X-Ray follows it to what we call
            request.headers["X-Amzn-Trace-Id"] = trace
        target = self._parts.path + path
        kept = self._connection is not None
        try:
            return self._exchange(method, target, body, dict(request.headers.items()), timeout_seconds)
        except ConnectionError:
            if not kept:
                raise
        # a kept connection that the other end had closed: what we send may be sent twice
        return self._exchange(method, target, body, dict(request.headers.items()), timeout_seconds)

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(
        self, method: str, target: str, body: bytes, headers: dict[str, str], timeout_seconds: float
    ) -> AwsAnswer:
        connection = self._connection or self._opened(timeout_seconds)
        if connection.sock is not None:
            connection.sock.settimeout(timeout_seconds)
        try:
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            answer = AwsAnswer(response.status, response.read())
        except http.client.HTTPException as garbled:
            self.close()
            if isinstance(garbled, OSError):  # closed without an answer
                raise
            raise OSError(f"no HTTP: {type(garbled).__name__}") from garbled
        except BaseException:
            self.close()  # what is left of this exchange must not be read as the next one's answer
            raise
        return answer

    def _opened(self, timeout_seconds: float) -> http.client.HTTPConnection:
        kind = http.client.HTTPConnection if self._parts.scheme == "http" else http.client.HTTPSConnection
        self._connection = kind(self._parts.netloc, timeout=timeout_seconds)
        return self._connection


def endpoint(service_id: str, host: str) -> str:
    """The base URL of a service in this region.

    Args:
        service_id: as in boto3's variable `AWS_ENDPOINT_URL_<SERVICE_ID>`, which wins.
        host: the service's host name without region and suffix.
    """
    default = f"https://{host}.{required('AWS_REGION')}.amazonaws.com"
    return os.environ.get(f"AWS_ENDPOINT_URL_{service_id}") or default
