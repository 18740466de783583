"""Signed calls of AWS's HTTP APIs with what a cold start can afford: one kept connection, a signature of our own.

boto3 costs a first use some 120 ms here, its signer 33 ms: what is sent after a customer's call, or a thousand
times a broadcast, goes this way (DECISIONS.md#d62).
"""

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from autodoctor.aws.http_client import HttpConnection, HttpResponse
from autodoctor.aws.sigv4 import Credentials, Signer
from autodoctor.settings import required


class AwsConnection:
    """A kept connection to one endpoint, opened at first use and again when the other end has closed it.

    Args:
        service: the name requests are signed for, such as `events`.
        endpoint: base URL.
    """

    def __init__(self, service: str, endpoint: str) -> None:
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
            body: as it is to arrive.
            headers: beside those of the signature.
            timeout_seconds: for each wait for the network.

        Raises:
            OSError: the endpoint did not answer in time, or not in HTTP.
        """
        target = self._base + path
        whole = self._signer.signed(method, target, {"Host": self._http.host, **headers}, body)
        if trace := os.environ.get("_X_AMZN_TRACE_ID"):  # of this invocation: X-Ray follows it to what we call
            whole["X-Amzn-Trace-Id"] = trace
        kept = self._http.kept
        try:
            return self._http.request(method, target, whole, body, timeout_seconds=timeout_seconds)
        except ConnectionError:
            if not kept:
                raise
        # a kept connection that the other end had closed: what we send may be sent twice
        return self._http.request(method, target, whole, body, timeout_seconds=timeout_seconds)

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        self._http.close()


def endpoint(service_id: str, host: str) -> str:
    """The base URL of a service in this region.

    Args:
        service_id: as in boto3's variable `AWS_ENDPOINT_URL_<SERVICE_ID>`, which wins.
        host: the service's host name without region and suffix.
    """
    default = f"https://{host}.{required('AWS_REGION')}.amazonaws.com"
    return os.environ.get(f"AWS_ENDPOINT_URL_{service_id}") or default
