"""A browser that already has a file does not get it again, whichever header says so."""

import gzip
from pathlib import Path

import pytest

from autodoctor.web.http import Content
from autodoctor.web.static_files import Calls, Places, StaticFiles
from autodoctor.web.static_pages import read

CLIENT = "export const client = 1;"


def made(folder: Path, medium: str) -> StaticFiles:
    (folder / "page.html").write_text("<!doctype html><title>A page</title>", encoding="utf-8")
    (folder / "talk.html").write_text("<!doctype html><title>A call</title>", encoding="utf-8")
    bundle = folder / "client.js.gz"
    bundle.write_bytes(gzip.compress(CLIENT.encode()))
    places = Places(
        issuer="https://issuer.example",
        client_id="client",
        medium=medium,
        connects_to="wss://feed.example/live https://issuer.example/pool",
        pictures_from="https://files.example",
        sessions="https://sessions.example/console",
    )
    return StaticFiles(folder, "/app", {"video": "talk.html"}, places, Calls("talk.html", "call/client.js", bundle))


@pytest.fixture
def site(tmp_path: Path) -> StaticFiles:
    return made(tmp_path, "local")


@pytest.fixture
def with_chime(tmp_path: Path) -> StaticFiles:
    return made(tmp_path, "chime")


def found(site: StaticFiles, name: str) -> Content | Content[bytes]:
    answer = site.file(name, None)
    assert answer is not None
    return answer


def status(site: StaticFiles, known: str | None) -> int | None:
    answer = site.file("page.html", known)
    assert answer is not None
    return answer.status


def etag(site: StaticFiles) -> str:
    answer = site.file("page.html", None)
    assert answer is not None
    return answer.headers["ETag"]


@pytest.mark.parametrize(
    "known",
    ["{etag}", "W/{etag}", '"older", {etag}', 'W/"with,a-comma",W/{etag}', "*", " * "],
)
def test_a_copy_that_is_still_it_is_not_sent_again(site: StaticFiles, known: str) -> None:
    answer = site.file("page.html", known.format(etag=etag(site)))
    assert answer is not None
    assert (answer.status, answer.body, answer.headers["ETag"]) == (304, "", etag(site))


@pytest.mark.parametrize("known", [None, "", '"older"', 'W/"older", "oldest"', '"*"', "older"])
def test_another_copy_is_replaced(site: StaticFiles, known: str | None) -> None:
    assert status(site, known) is None


def test_the_page_reaches_its_own_places_and_no_other(site: StaticFiles) -> None:
    answer = site.file("page.html", None)
    assert answer is not None
    policy = answer.headers["Content-Security-Policy"]
    assert "; connect-src 'self' https://issuer.example wss://feed.example; " in policy
    assert "; img-src 'self' data: blob: https://files.example; " in policy
    assert policy.startswith("default-src 'none'; ")


def test_a_file_that_is_not_there_is_not_there_whatever_is_known(site: StaticFiles) -> None:
    assert site.file("other.html", "*") is None


def test_camera_and_microphone_are_for_the_page_of_calls_alone(site: StaticFiles) -> None:
    page, talk = found(site, "page.html"), found(site, "video/0123")
    assert page.headers["Permissions-Policy"] == "camera=(), geolocation=(), microphone=()"
    assert talk.headers["Permissions-Policy"] == "camera=(self), geolocation=(), microphone=(self)"


def test_the_page_of_calls_alone_reaches_chime_and_makes_workers(with_chime: StaticFiles) -> None:
    page, talk = (
        found(with_chime, name).headers["Content-Security-Policy"].split("; ") for name in ("page.html", "video/0123")
    )
    chime = "https://*.chime.aws wss://*.chime.aws"
    assert talk == [*(each.replace("'self' https", f"'self' {chime} https") for each in page), "worker-src blob:"]
    assert not any("chime" in each or "blob:" in each for each in page if not each.startswith("img-src"))


def test_another_medium_needs_no_more_than_the_other_pages_do(site: StaticFiles) -> None:
    page, talk = found(site, "page.html"), found(site, "video/0123")
    assert talk.headers["Content-Security-Policy"] == page.headers["Content-Security-Policy"]


def test_the_client_of_chime_is_served_packed_and_kept_like_any_file(with_chime: StaticFiles) -> None:
    client = found(with_chime, "call/client.js")
    assert isinstance(client.body, bytes)
    assert gzip.decompress(client.body).decode() == CLIENT
    assert client.headers["Content-Encoding"] == "gzip"
    assert client.content_type == "text/javascript; charset=utf-8"
    again = with_chime.file("call/client.js", client.headers["ETag"])
    assert again is not None
    assert (again.status, again.body) == (304, "")


def test_where_chime_is_not_the_medium_there_is_no_client(site: StaticFiles) -> None:
    assert site.file("call/client.js", None) is None


@pytest.mark.parametrize("name", ["call/client.js", "config.json", "page.html", "video/0123"])
def test_what_the_version_says_nothing_of_is_asked_for_again(
    tmp_path: Path, with_chime: StaticFiles, name: str
) -> None:
    version = read(tmp_path, "/app").version
    assert found(with_chime, f"v/{version}/{name}").headers["Cache-Control"] == "no-cache"
