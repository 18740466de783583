"""The form of an upload is read the same wherever the network cuts it."""

import asyncio
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.storage.multipart import Malformed, Multipart
from support.account import Account
from support.files.uploads import PNG, promised

TYPE = "multipart/form-data; boundary=xYz"
FILE = b"\x89PNG\r\n--xY\r\n\r\n--xyz\r\n-"
FORM = (
    b'--xYz\r\nContent-Disposition: form-data; name="key"\r\n\r\nuploads/1.png\r\n'
    b'--xYz\r\nContent-Disposition: form-data; name="empty"\r\n\r\n\r\n'
    b'--xYz\r\nContent-Disposition: form-data; name="file"; filename="blob"\r\nContent-Type: image/png\r\n\r\n'
    + FILE
    + b"\r\n--xYz--\r\n"
)
READ = [("key", b"uploads/1.png"), ("empty", b""), ("file", FILE)]


def form_of(chunks: Sequence[bytes], content_type: str = TYPE) -> Multipart:
    """A body that comes in these chunks."""
    left = iter([each for each in chunks if each])

    async def more() -> bytes:
        return next(left, b"")

    return Multipart(content_type, more)


def read(chunks: Sequence[bytes]) -> list[tuple[str, bytes]]:
    """All parts of a body."""

    async def parts() -> list[tuple[str, bytes]]:
        form = form_of(chunks)
        found = []
        while (name := await form.next()) is not None:
            found.append((name, b"".join([piece async for piece in form.pieces()])))
        return found

    return asyncio.run(parts())


@given(cuts=st.lists(st.integers(0, len(FORM)), max_size=20).map(sorted))
def test_it_is_the_same_wherever_it_is_cut(cuts: list[int]) -> None:
    assert read([FORM[start:end] for start, end in zip([0, *cuts], [*cuts, len(FORM)], strict=True)]) == READ


def test_it_is_the_same_a_byte_at_a_time() -> None:
    assert read([FORM[at : at + 1] for at in range(len(FORM))]) == READ


def test_a_part_may_be_passed_over() -> None:
    async def second() -> str | None:
        form = form_of([FORM])
        await form.next()
        return await form.next()

    assert asyncio.run(second()) == "empty"


@pytest.mark.parametrize("end", [0, 1, 4, 40, len(FORM) - 60, len(FORM) - 5])
def test_a_form_that_ends_too_soon_is_malformed(end: int) -> None:
    with pytest.raises(Malformed):
        read([FORM[:end]])


@pytest.mark.parametrize(
    "body",
    [
        b"--xYz\r\n\r\nno name\r\n--xYz--\r\n",
        b"--xYzz\r\n" + FORM,
        b"--xYz\r\nX: " + b"x" * 9000,
        b"nothing of the kind",
    ],
    ids=["a part without a name", "another delimiter", "an endless head", "no form"],
)
def test_what_is_no_form_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        read([body])


def test_a_type_without_a_boundary_is_malformed() -> None:
    with pytest.raises(Malformed):
        form_of([FORM], "multipart/form-data")


def test_the_bucket_takes_a_form_that_comes_a_byte_at_a_time(account: Account) -> None:
    promise = promised(account.customer())
    fields = "".join(
        f'--xYz\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in promise.fields.items()
    )
    head = '--xYz\r\nContent-Disposition: form-data; name="file"; filename="blob"\r\n\r\n'
    body = f"{fields}{head}".encode() + PNG + b"\r\n--xYz--\r\n"
    where = urlsplit(promise.url)
    request = f"POST {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: {TYPE}\r\nConnection: close\r\n"
    with socket.create_connection((where.hostname, where.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(f"{request}Content-Length: {len(body)}\r\n\r\n".encode())
        for byte in body:
            connection.sendall(bytes([byte]))
        answer = connection.makefile("rb").readline()
    assert answer.split()[1] == b"204"
