"""HTTP over one kept connection, against a server that answers exactly the bytes of the test."""

import itertools
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from autodoctor.aws.http_client import MOST_HEAD, Closed, HttpConnection, HttpResponse, ProtocolError
from localcloud.host.ports import LOOPBACK

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
HELLO = HttpResponse(200, b"hello")


@dataclass
class Server:
    """Its requests and the number of its connections; a connection ends with the last of its answers."""

    port: int
    asked: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def base(self) -> str:
        """Its address."""
        return f"http://{LOOPBACK}:{self.port}"


@contextmanager
def serving(*connections: Sequence[bytes | list[bytes]]) -> Iterator[Server]:
    """Answer the requests of each connection with these bytes; a list is sent in pieces."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        server = Server(listening.getsockname()[1])

        def serve() -> None:
            for answers in connections:
                connection, _ = listening.accept()
                server.connections += 1
                with connection:
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    for answer in answers:
                        server.asked.append(connection.recv(65536))
                        for piece in [answer] if isinstance(answer, bytes) else answer:
                            connection.sendall(piece)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server
        thread.join(10)


def post(http: HttpConnection, body: bytes = b"{}") -> HttpResponse:
    return http.request("POST", "/a", {"Host": http.host, "X-Own": "1"}, body, timeout_seconds=5)


def test_a_request_is_http_and_its_connection_is_kept() -> None:
    with serving([OK, OK]) as server:
        http = HttpConnection(server.base)
        assert not http.kept
        assert [post(http), post(http)] == [HELLO, HELLO]
        assert http.kept
        http.close()
    assert server.connections == 1
    host = f"{LOOPBACK}:{server.port}"
    assert server.asked[0] == f"POST /a HTTP/1.1\r\nHost: {host}\r\nX-Own: 1\r\nContent-Length: 2\r\n\r\n{{}}".encode()


@pytest.mark.parametrize(
    ("base", "host"),
    [
        ("https://events.eu-west-1.amazonaws.com", "events.eu-west-1.amazonaws.com"),
        ("https://events.example:443/x", "events.example"),
        ("http://localhost:80", "localhost"),
        ("http://localhost:443", "localhost:443"),
        ("http://[::1]:4000/x", "[::1]:4000"),
        ("https://[2001:db8::1]:443", "[2001:db8::1]"),
        ("wss://events.example:443", "events.example"),
    ],
)
def test_the_host_has_its_port_where_it_is_unusual(base: str, host: str) -> None:
    assert HttpConnection(base).host == host


@pytest.mark.parametrize(
    ("answer", "expected", "kept"),
    [
        (b"HTTP/1.1 200\r\ncontent-length:5\r\n\r\nhello", HELLO, True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", HttpResponse(204, b""), True),
        (b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", HttpResponse(410, b""), True),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, HELLO, True),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 5\r\n\r\nhello", HELLO, False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", HELLO, False),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", HELLO, False),
        (OK + b"HTTP/1.1 500 Unasked\r\n\r\n", HELLO, False),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nT: 1\r\n\r\n",
            HELLO,
            True,
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", HttpResponse(200, b""), True),
    ],
)
def test_an_answer_ends_where_http_says(answer: bytes, expected: HttpResponse, kept: bool) -> None:  # noqa: FBT001
    with serving([answer]) as server:
        http = HttpConnection(server.base)
        assert post(http) == expected
        assert http.kept is kept
        http.close()


@given(cuts=st.lists(st.integers(1, 120), max_size=6), body=st.binary(max_size=60), chunked=st.booleans())
def test_it_does_not_matter_in_which_pieces_an_answer_comes(cuts: list[int], body: bytes, chunked: bool) -> None:  # noqa: FBT001
    if chunked:
        pieces = [body[:7], body[7:]]
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in pieces if each) + b"0\r\n\r\n"
        whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    else:
        whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    edges = [0, *sorted(cuts), len(whole)]
    with serving([[whole[a:b] for a, b in itertools.pairwise(edges)]]) as server:
        http = HttpConnection(server.base)
        assert post(http) == HttpResponse(200, body)
        assert http.kept
        http.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * (2 * MOST_HEAD),
    ],
)
def test_what_is_not_http_is_refused_and_the_connection_closed(answer: bytes) -> None:
    with serving([answer]) as server:
        http = HttpConnection(server.base)
        with pytest.raises(ProtocolError):
            post(http)
        assert not http.kept


def test_a_connection_that_is_closed_with_our_request_is_told_apart() -> None:
    with serving([OK, b""], [OK]) as server:
        http = HttpConnection(server.base)
        assert post(http) == HELLO
        with pytest.raises(ConnectionError):
            post(http)
        assert not http.kept
        assert post(http) == HELLO
        http.close()


@pytest.mark.parametrize("unasked", [b"", b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"])
def test_what_comes_between_two_requests_answers_neither(unasked: bytes) -> None:
    """Closed, or told that it will be, as while an environment is frozen: the next request has another connection."""
    with serving_late(unasked) as (base, answered, sent):
        http = HttpConnection(base)
        assert post(http) == HELLO
        answered.set()
        assert sent.wait(30)
        assert post(http) == HELLO
        http.close()


@contextmanager
def serving_late(unasked: bytes) -> Iterator[tuple[str, threading.Event, threading.Event]]:
    """Answer a request on each of two connections; once the first answer is read, send this over it and close it."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        answered, sent = threading.Event(), threading.Event()

        def serve() -> None:
            first, _ = listening.accept()
            with first:
                first.recv(65536)
                first.sendall(OK)
                answered.wait(30)
                first.sendall(unasked)
            sent.set()
            second, _ = listening.accept()
            with second:
                second.recv(65536)
                second.sendall(OK)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://{LOOPBACK}:{listening.getsockname()[1]}", answered, sent
        thread.join(10)


@pytest.mark.parametrize("headers", [{"X-Own": "a\r\nX-Smuggled: b"}, {"X-Own": "a\n"}, {"X-Own\r": "a"}])
def test_no_value_makes_another_line(headers: dict[str, str]) -> None:
    http = HttpConnection("http://127.0.0.1:1")
    with pytest.raises(ValueError, match="line break") as refused:
        http.request("POST", "/", headers, b"", timeout_seconds=1)
    assert "X-" not in str(refused.value), "a header may be a secret"


def test_no_answer_at_all_is_told_apart() -> None:
    with serving([b""]) as server:
        http = HttpConnection(server.base)
        with pytest.raises(Closed):
            post(http)
        assert not http.kept


def test_who_does_not_answer_in_time_is_not_waited_for() -> None:
    with socket.create_server((LOOPBACK, 0)) as silent:
        http = HttpConnection(f"http://{LOOPBACK}:{silent.getsockname()[1]}")
        with pytest.raises(TimeoutError):
            http.request("GET", "/", {"Host": http.host}, b"", timeout_seconds=0.1)
        assert not http.kept


def test_over_tls_nothing_of_a_request_is_sent_in_the_clear() -> None:
    with serving([OK]) as server:
        http = HttpConnection(f"https://{LOOPBACK}:{server.port}")
        with pytest.raises(OSError, match="SSL"):
            post(http)
        assert not http.kept
    assert b"X-Own" not in server.asked[0]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Give a certificate for the loopback address, with its key, that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "autodoctor test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOOPBACK))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(made.public_bytes(Encoding.PEM) + private)
    return file


@contextmanager
def serving_tls(certificate: Path) -> Iterator[str]:
    """Answer one request over TLS; give the address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server((LOOPBACK, 0)) as listening:

        def serve() -> None:
            plain, _ = listening.accept()
            with plain, suppress(OSError), context.wrap_socket(plain, server_side=True) as connection:
                connection.recv(65536)
                connection.sendall(OK)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"{LOOPBACK}:{listening.getsockname()[1]}"
        thread.join(10)


PROBE = """
import sys
from autodoctor.aws.http_client import HttpConnection
http = HttpConnection("https://" + sys.argv[1])
print(http.request("POST", "/", {"Host": http.host}, b"{}", timeout_seconds=5))
"""


@pytest.mark.parametrize("trusted", [True, False])
def test_a_certificate_counts_where_an_authority_of_the_system_signed_it(certificate: Path, trusted: bool) -> None:  # noqa: FBT001
    with serving_tls(certificate) as address:
        environment = {"PATH": os.environ["PATH"], **({"SSL_CERT_FILE": str(certificate)} if trusted else {})}
        command = [sys.executable, "-c", PROBE, address]
        done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False, timeout=60)
    if trusted:
        assert done.stdout == f"{HELLO}\n", done.stderr
    else:
        assert "CERTIFICATE_VERIFY_FAILED" in done.stderr


def test_a_certificate_counts_for_its_own_name_only(certificate: Path) -> None:
    with serving_tls(certificate) as address:
        other = address.replace(LOOPBACK, "localhost")
        environment = {"PATH": os.environ["PATH"], "SSL_CERT_FILE": str(certificate)}
        command = [sys.executable, "-c", PROBE, other]
        done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False, timeout=60)
    assert "Hostname mismatch" in done.stderr
