"""Decodes `multipart/form-data`, in which files are uploaded."""

from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Final

from localcloud.stripe.http.errors import Json, invalid
from localcloud.stripe.objects.files import Upload

MULTIPART: Final = "multipart/form-data"


def decode(content_type: str, body: bytes) -> Json:
    """Return the parameters of a form: text as strings, files as `Upload`. Raises ApiError."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    parsed = BytesParser(policy=HTTP).parsebytes(head + body)
    if not parsed.is_multipart() or parsed.defects:
        raise invalid("Invalid request: the body is not multipart/form-data.")
    found: Json = {}
    for part in parsed.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if not isinstance(name, str) or name in found:
            raise invalid("Invalid request: each part of the form needs a name of its own.")
        found[name] = _value(part)
    return found


def _value(part: Message) -> str | Upload:
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    filename = part.get_filename()
    return content.decode(errors="replace") if filename is None else Upload(filename, content)
