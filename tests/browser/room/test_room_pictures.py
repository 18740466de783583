"""Pictures and documents on the session's page: chosen, pasted and dropped; what is in them, and what is refused."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import console_settings, say
from support.browser.meeting import Meeting, met
from support.browser.photograph import MAKER, photograph
from support.browser.window import Camera, Windows

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
GIVEN = """(target, [type, name, contentType, base64]) => {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type: contentType }));
  const event = type === 'paste'
    ? new ClipboardEvent(type, { clipboardData: transfer, bubbles: true, cancelable: true })
    : new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true });
  target.dispatchEvent(event);
}"""


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


def choose(page: Page, name: str, content: bytes, content_type: str) -> None:
    """Choose a file, as with the button beside the message."""
    page.locator("#file").set_input_files({"name": name, "mimeType": content_type, "buffer": content})


def pictures(page: Page) -> Locator:
    """The pictures that were sent."""
    return page.get_by_role("button", name=re.compile("^Picture of"))


def loaded(picture: Locator) -> list[int]:
    """Wait until the browser has drawn it; its width and height in px."""
    image = picture.locator("img")
    expect(image).to_have_js_property("complete", value=True)
    size: list[int] = image.evaluate("image => image.decode().then(() => [image.naturalWidth, image.naturalHeight])")
    return size


def received(page: Page) -> bytes:
    """The first picture as this page got it, byte by byte."""
    url: str = pictures(page).first.locator("img").evaluate("image => image.src")
    answer = page.request.get(url)
    assert answer.ok
    return answer.body()


def test_a_photograph_of_twelve_megapixels_arrives_upright_and_without_its_position(
    account: Account, windows: Windows, camera: Camera
) -> None:
    meeting = met(account, windows, phone=True)
    taken = photograph(meeting.customer)
    assert MAKER in taken
    choose(meeting.customer, "IMG_0815.jpg", taken, "image/jpeg")
    expect(meeting.customer.get_by_role("list", name="Pictures to be sent").get_by_role("img")).to_be_visible()
    meeting.customer.get_by_label("Message", exact=True).fill("This light is on.")
    meeting.customer.get_by_role("button", name="Send").click()
    expect(pictures(meeting.mechanic)).to_have_count(1)
    assert loaded(pictures(meeting.mechanic).first) == [1920, 2560]  # it was held upright
    expect(meeting.mechanic.get_by_text("This light is on.", exact=True)).to_be_visible()
    sent = received(meeting.mechanic)
    for trace in (MAKER, b"Exif", b"II*\x00"):
        assert trace not in sent
    assert len(sent) < len(taken)
    camera.take(meeting.mechanic, "arrived")
    pictures(meeting.mechanic).first.click()
    expect(meeting.mechanic.get_by_role("dialog", name="IMG_0815.jpg")).to_be_visible()
    camera.take(meeting.mechanic, "large")
    meeting.mechanic.keyboard.press("Escape")
    expect(pictures(meeting.mechanic).first).to_be_focused()


@pytest.mark.parametrize("way", ["paste", pytest.param("drop", marks=pytest.mark.slow)])
def test_a_picture_may_be_pasted_or_dropped(account: Account, windows: Windows, way: str) -> None:
    meeting = met(account, windows)
    picture = base64.b64encode(photograph(meeting.customer, 40, 30)).decode()
    target = meeting.customer.get_by_label("Message", exact=True)
    target.evaluate(GIVEN, [way, "light.png", "image/png", picture])
    expect(meeting.customer.get_by_role("list", name="Pictures to be sent").get_by_role("img")).to_be_visible()
    target.press("Enter")
    expect(pictures(meeting.mechanic)).to_have_count(1)
    assert loaded(pictures(meeting.mechanic).first) == [30, 40]


def test_a_document_arrives_as_it_is(account: Account, windows: Windows) -> None:
    meeting = met(account, windows)
    choose(meeting.mechanic, "bill of last year.pdf", PDF, "application/pdf")
    meeting.mechanic.get_by_role("button", name="Send").click()
    document = meeting.customer.get_by_role("button", name="bill of last year.pdf")
    expect(document).to_be_visible()
    expect(document).to_contain_text("PDF, 1 KB")
    stored: dict[str, Any] | None = account.world.owner.execute(
        "SELECT encode(sha256, 'hex') AS sha256, bytes FROM attachments WHERE session_id = %s", [meeting.session_id]
    ).fetchone()
    assert stored == {"sha256": hashlib.sha256(PDF).hexdigest(), "bytes": len(PDF)}


@pytest.mark.parametrize(
    ("name", "content", "content_type", "why"),
    [
        ("manual.pdf", PDF + b"0" * (20 * 1024 * 1024), "application/pdf", "manual.pdf is larger than 20 MB."),
        ("notes.txt", b"It squeals.", "text/plain", "notes.txt cannot be sent: only pictures and PDF documents can."),
        ("photo.jpg", b"It says that it is one.", "image/jpeg", "photo.jpg cannot be sent"),
        ("IMG_1.HEIC", b"\0\0\0\x18ftypheic" + b"0" * 40, "image/heic", "This browser cannot read IMG_1.HEIC."),
    ],
    ids=["too-large", "wrong-type", "no-picture", "heic"],
)
def test_what_cannot_be_sent_is_refused_with_the_reason(  # noqa: PLR0913, PLR0917 (fixtures, and a row of a table)
    account: Account, windows: Windows, name: str, content: bytes, content_type: str, why: str
) -> None:
    meeting = met(account, windows)
    choose(meeting.customer, name, content, content_type)
    expect(meeting.customer.get_by_text(why)).to_be_visible()
    expect(meeting.customer.get_by_role("list", name="Pictures to be sent")).to_be_hidden()
    say(meeting.customer, "I shall describe it.")
    kept = "SELECT count(*) FROM attachments WHERE session_id = %s"
    assert account.world.one(kept, meeting.session_id) == 0


def test_several_pictures_go_out_in_their_order(account: Account, windows: Windows, tmp_path: Path) -> None:
    meeting: Meeting = met(account, windows)
    files = [tmp_path / f"part {number}.jpg" for number in range(3)]
    for number, file in enumerate(files):
        file.write_bytes(photograph(meeting.customer, 40 + number, 30))
    meeting.customer.locator("#file").set_input_files(files)
    expect(meeting.customer.get_by_role("list", name="Pictures to be sent").get_by_role("img")).to_have_count(3)
    meeting.customer.get_by_role("button", name="Remove part 1.jpg").click()
    meeting.customer.get_by_role("button", name="Send").click()
    expect(pictures(meeting.mechanic)).to_have_count(2)
    names = [each.get_attribute("aria-label") or "" for each in pictures(meeting.mechanic).all()]
    assert [name.partition(": ")[2] for name in names] == [
        "part 0.jpg. Show it large",
        "part 2.jpg. Show it large",
    ]
