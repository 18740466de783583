"""S3's errors, as the XML documents that it answers."""

from collections.abc import Mapping
from xml.sax.saxutils import escape

from aiohttp import web


class S3Error(Exception):
    """S3 refuses; `more` are further elements of its document."""

    def __init__(self, status: int, code: str, message: str, more: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.more = more or {}

    def response(self, request_id: str) -> web.Response:
        """The answer."""
        facts = {"Code": self.code, "Message": str(self), **self.more, "RequestId": request_id, "HostId": "local"}
        elements = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in facts.items())
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{elements}</Error>'
        return web.Response(status=self.status, text=body, content_type="application/xml")


def access_denied(message: str = "Access Denied", more: Mapping[str, object] | None = None) -> S3Error:
    """403: the caller, the form or the URL may not do this."""
    return S3Error(403, "AccessDenied", message, more)


def signature_mismatch() -> S3Error:
    """403: signed with another key, or something was changed since."""
    return S3Error(
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
    )


def invalid_argument(message: str, name: str, value: str = "") -> S3Error:
    """400: a field or parameter is missing or not what it should be."""
    return S3Error(400, "InvalidArgument", message, {"ArgumentName": name, "ArgumentValue": value})
