"""What a page names is kept for good by a browser, is asked for at once, and comes packed."""

import gzip
import re
from pathlib import Path

import pytest

from autodoctor.web.static_files import Calls, Places, StaticFiles
from autodoctor.web.static_pages import read

PAGE = """<!doctype html>
<html lang="en">
  <head>
    <link rel="icon" href="/app/icon.svg">
    <link rel="stylesheet" href="/app/css/look.css">
    <script type="module" src="/app/js/pages/page.js"></script>
  </head>
</html>
"""
MODULES = {
    "js/pages/page.js": 'import { a } from "../lib/a.js";\nimport "../lib/b.js";\nimport("./later.js");\n'
    'const c = "./no.js";\n',
    "js/lib/a.js": 'import {\n  c,\n  d as e,\n} from "./deep/c.js";\nexport const a = "../lib/none.js";\n',
    "js/lib/b.js": 'export { a } from "./a.js";\nimport * as page from "../pages/page.js";\n',
    "js/lib/deep/c.js": "export const c = 1;\n",
    "js/pages/later.js": 'import "../lib/rare.js";\n',
    "js/lib/rare.js": "export {};\n",
    "css/look.css": "p { color: red }\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"page.html": PAGE, **MODULES}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def site(folder: Path) -> StaticFiles:
    places = Places(issuer="", client_id="", medium="local", connects_to="", pictures_from="", sessions="")
    return StaticFiles(folder, "/app", {"chat": "page.html"}, places, Calls("page.html", "client.js", folder / "none"))


def text_of(site: StaticFiles, address: str) -> str:
    answer = site.file(address, None)
    assert answer is not None
    assert isinstance(answer.body, str)
    return answer.body


def kept(site: StaticFiles, address: str) -> str:
    answer = site.file(address, None)
    assert answer is not None
    return answer.headers["Cache-Control"]


def test_a_page_names_what_it_needs_by_its_version_and_asks_for_all_modules(folder: Path) -> None:
    page = text_of(site(folder), "chat/0123")
    version = read(folder, "/app").version
    names = re.findall(r'(?:href|src)="([^"]+)"', page)
    modules = ("js/lib/a.js", "js/lib/b.js", "js/lib/deep/c.js")
    assert names == [
        "/app/icon.svg",
        *(f"/app/v/{version}/{name}" for name in ("css/look.css", "js/pages/page.js", *modules)),
    ]
    assert page.count('rel="modulepreload"') == len(modules)


def test_what_a_page_names_is_kept_for_good_and_the_page_is_not(folder: Path) -> None:
    served = site(folder)
    version = read(folder, "/app").version
    assert kept(served, f"v/{version}/js/lib/a.js") == "public, max-age=31536000, immutable"
    assert text_of(served, f"v/{version}/js/lib/a.js") == MODULES["js/lib/a.js"]
    for address in ("page.html", "chat/0123", "js/lib/a.js", "v/0123456789abcdef/js/lib/a.js"):
        assert kept(served, address) == "no-cache"  # also for a page that was open while another version came


@pytest.mark.parametrize("changed", list(MODULES))
def test_any_change_has_another_version(folder: Path, changed: str) -> None:
    before = read(folder, "/app").version
    (folder / changed).write_text("/* other */", encoding="utf-8")
    assert read(folder, "/app").version != before


@pytest.mark.parametrize("address", ["v/", "v/0123456789abcdef", "v/0123456789abcdef/", "v/x/none.js"])
def test_there_is_nothing_else_below_a_version(folder: Path, address: str) -> None:
    assert site(folder).file(address, None) is None


@pytest.mark.parametrize("accepted", ["gzip", "br, gzip", "GZIP;q=0.5", "deflate,gzip ;q=1.0"])
def test_it_is_packed_for_who_takes_that(folder: Path, accepted: str) -> None:
    served = site(folder)
    answer = served.file("css/look.css", None, accepted)
    assert answer is not None
    assert isinstance(answer.body, bytes)
    assert (gzip.decompress(answer.body).decode(), answer.headers["Content-Encoding"]) == (
        MODULES["css/look.css"],
        "gzip",
    )
    plain = served.file("css/look.css", None)
    assert plain is not None
    assert plain.headers["Vary"] == "Accept-Encoding"
    assert answer.headers["ETag"] != plain.headers["ETag"]
    again = served.file("css/look.css", answer.headers["ETag"], accepted)
    assert again is not None
    assert again.status == 304


@pytest.mark.parametrize("accepted", ["", "br", "gzip;q=0", "gzip; q=0.000", "x-gzip"])
def test_it_is_not_packed_for_others(folder: Path, accepted: str) -> None:
    answer = site(folder).file("css/look.css", None, accepted)
    assert answer is not None
    assert answer.body == MODULES["css/look.css"]
    assert "Content-Encoding" not in answer.headers
