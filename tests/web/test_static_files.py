"""A browser that already has a file does not get it again, whichever header says so."""

from pathlib import Path

import pytest

from autodoctor.web.static_files import Places, StaticFiles


@pytest.fixture
def site(tmp_path: Path) -> StaticFiles:
    (tmp_path / "page.html").write_text("<!doctype html><title>A page</title>", encoding="utf-8")
    places = Places(
        issuer="https://issuer.example",
        client_id="client",
        medium="local",
        connects_to="wss://feed.example/live https://issuer.example/pool",
        pictures_from="https://files.example",
        sessions="https://sessions.example/console",
    )
    (tmp_path / "talk.html").write_text("<!doctype html><title>A call</title>", encoding="utf-8")
    return StaticFiles(tmp_path, {"video": "talk.html"}, places, calls="talk.html")


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
    page, talk = site.file("page.html", None), site.file("video/0123", None)
    assert page is not None
    assert talk is not None
    assert page.headers["Permissions-Policy"] == "camera=(), geolocation=(), microphone=()"
    assert talk.headers["Permissions-Policy"] == "camera=(self), geolocation=(), microphone=(self)"
