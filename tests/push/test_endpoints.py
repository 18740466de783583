"""Which addresses are called: those of push services, and nothing that only looks like one."""

import pytest

from autodoctor.push.endpoints import MOST_CHARACTERS, NotAPushService, endpoint_of

LOCAL = "http://127.0.0.1:4510"


@pytest.fixture(autouse=True)
def hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSH_HOSTS", f"fcm.googleapis.com *.push.apple.com {LOCAL}")


@pytest.mark.parametrize(
    ("address", "origin", "host"),
    [
        ("https://fcm.googleapis.com/fcm/send/a:b-c_d", "https://fcm.googleapis.com", "fcm.googleapis.com"),
        ("https://web.push.apple.com/QAbc?x=%2F", "https://web.push.apple.com", "web.push.apple.com"),
        (f"{LOCAL}/_push/subscriptions/a", LOCAL, "127.0.0.1"),
    ],
)
def test_a_push_service_is_called(address: str, origin: str, host: str) -> None:
    endpoint = endpoint_of(address)
    assert (endpoint.origin, endpoint.host) == (origin, host)
    assert address == endpoint.origin + endpoint.target


@pytest.mark.parametrize(
    "address",
    [
        "http://fcm.googleapis.com/a",
        "https://fcm.googleapis.com:8443/a",
        "https://fcm.googleapis.com@169.254.169.254/a",
        "https://user:word@fcm.googleapis.com/a",
        "https://169.254.169.254/latest/meta-data",
        "https://fcm.googleapis.com.attacker.example/a",
        "https://attacker.example/fcm.googleapis.com",
        "https://attackerpush.apple.com/a",
        "https://push.apple.com/a",
        "https://fcm.googleapis.com\\.attacker.example/a",
        "https://fcm.googleapis.com",
        "https://FCM.googleapis.com/a",
        "https://fcm.googleapis.com./a",
        "https://fcm.googleapis.com/a#b",
        "https://fcm.googleapis.com/a b",
        "https://fcm.googleapis.com/a\r\nX: y",
        "https://fcm.googleapis.com/a\n",
        "https://fcm.googleapis.com/\u00e9",
        "http://127.0.0.1:4511/_push/a",
        "http://127.0.0.1:45100/_push/a",
        "file:///etc/passwd",
        "gopher://fcm.googleapis.com/a",
        "https://fcm.googleapis.com/" + "a" * MOST_CHARACTERS,
        "",
    ],
)
def test_nothing_else_is(address: str) -> None:
    with pytest.raises(NotAPushService):
        endpoint_of(address)
