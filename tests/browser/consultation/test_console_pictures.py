"""Pictures with a request: chosen in the form, sent before it, and shown to mechanics in the queue."""

import re

import pytest
from playwright.sync_api import FilePayload, Page, expect

from support.account import Account
from support.account_settings import AccountSettings
from support.browser.console import at_stage, console_settings, described, signed_in
from support.browser.photograph import photograph
from support.browser.window import Camera, Windows

PDF = b"%PDF-1.4\n%%EOF\n"


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return console_settings()


def payload(name: str, content_type: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": content_type, "buffer": content}


def choose(page: Page, *names: str) -> None:
    """Choose pictures, all alike, as with the button of the form."""
    taken = photograph(page)
    page.locator("#pictures").set_input_files([payload(name, "image/jpeg", taken) for name in names])


def test_a_mechanic_sees_the_first_picture_in_the_queue(account: Account, windows: Windows, camera: Camera) -> None:
    customer = signed_in(account, windows.open(phone=True), "Cora Castillo")
    described(customer, "Oil below the engine.")
    choose(customer, "leak.jpg", "light.jpg", "car.jpg")
    chosen = customer.get_by_role("list", name="Pictures of your request")
    expect(chosen.get_by_role("img")).to_have_count(3)
    chosen.get_by_role("button", name="Remove light.jpg").click()
    expect(chosen.locator("li[aria-busy=false]")).to_have_count(2)
    camera.take(customer, "pictures with a request")
    customer.get_by_role("button", name="Ask now").click()
    at_stage(customer, "searching")
    assert account.world.one("SELECT count(*) FROM attachments WHERE place IS NOT NULL") == 2
    mechanic = signed_in(account, windows.open(), "Mia Moreno")
    request = mechanic.locator("article", has_text="Oil below the engine.")
    picture = request.get_by_role("button", name="Picture of Cora Castillo")
    expect(picture.locator("img")).to_have_js_property("complete", value=True)
    camera.take(mechanic, "a request with a picture")
    picture.click()
    expect(mechanic.get_by_role("dialog").get_by_role("img")).to_be_visible()
    mechanic.get_by_role("button", name="Close").click()
    expect(picture).to_be_focused()


def test_four_are_the_most_and_what_is_no_picture_is_refused_by_name(account: Account, windows: Windows) -> None:
    customer = signed_in(account, windows.open(), "Clara Costa")
    papers = [payload(f"{number}.pdf", "application/pdf", PDF) for number in range(6)]
    customer.locator("#pictures").set_input_files(papers)
    expect(customer.get_by_text("At most 4: the others were left out.")).to_be_visible()
    chosen = customer.get_by_role("list", name="Pictures of your request")
    expect(chosen.get_by_role("listitem")).to_have_count(4)
    expect(customer.get_by_role("button", name="Add pictures")).to_be_disabled()
    chosen.get_by_role("button", name="Remove 0.pdf").click()
    expect(customer.get_by_role("button", name="Add pictures")).to_be_enabled()
    customer.locator("#pictures").set_input_files(payload("notes.txt", "text/plain", b"Hello"))
    expect(customer.get_by_text(re.compile("notes.txt cannot be sent"))).to_be_visible()
