"""Two people of the roster in a call, on the session's page."""

from playwright.sync_api import Page, expect

from support.account import Account
from support.browser.console import at_stage
from support.browser.meeting import Meeting, met
from support.browser.window import PATIENCE_MS, Windows

SIGNED_IN = "autodoctor.signed-in"
MOVES = """([video, patience]) => new Promise((resolve, reject) => {
  const from = video.currentTime;
  setTimeout(() => reject(new Error('the picture stands still')), patience);
  const moves = () => video.videoWidth > 0 && video.currentTime > from;
  const look = () => moves() ? resolve(video.videoWidth) : setTimeout(look, 100);
  look();
})"""
REFUSE = """([name, kinds]) => {
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = (wanted) =>
    kinds.some((kind) => wanted[kind]) ? Promise.reject(new DOMException('', name)) : real(wanted);
}"""


def without_devices(page: Page, error: str, kinds: list[str]) -> None:
    """Have this page be refused what it asks of these kinds, `video` and `audio`, with the browser's error."""
    page.evaluate(REFUSE, [error, kinds])


def joins(page: Page, button: str = "Start video") -> None:
    """Go through the preview into the call."""
    page.get_by_role("button", name=button).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Your picture")).to_be_visible()
    dialog.get_by_role("button", name="Join", exact=True).click()
    expect(page.get_by_role("button", name="Leave call")).to_be_visible()


def sees(page: Page, other: str) -> None:
    """Wait until the other's picture moves in somebody's window."""
    picture = page.get_by_label(f"Picture of {other}")
    expect(picture).to_be_visible()
    assert page.evaluate(MOVES, [picture.element_handle(), PATIENCE_MS]) > 0


def second_device(windows: Windows, page: Page) -> Page:
    """The same page at a phone of the same person, who has signed in there too."""
    phone = windows.open(phone=True, devices=True)
    phone.goto(page.url.partition("/console/")[0] + "/console/index.html")
    signed_in = page.evaluate("key => sessionStorage.getItem(key)", SIGNED_IN)
    phone.evaluate("kept => sessionStorage.setItem(kept[0], kept[1])", [SIGNED_IN, signed_in])
    phone.goto(page.url)
    return phone


def in_call(account: Account, windows: Windows, others: Windows, *, phone: bool = False) -> Meeting:
    """Both in the call of a session."""
    meeting = met(account, windows, phone=phone, others=others)
    call(meeting)
    return meeting


def call(meeting: Meeting) -> None:
    """The customer calls, the mechanic joins, and they see each other."""
    joins(meeting.customer)
    expect(meeting.customer.get_by_text("Waiting for Mia Moreno …")).to_be_visible()
    joins(meeting.mechanic, "Join the call")
    sees(meeting.mechanic, "Cora Castillo")
    sees(meeting.customer, "Mia Moreno")


def uses_the_camera(meeting: Meeting) -> None:
    """The customer takes the other camera, switches it off and on again; the mechanic sees each of it."""
    customer, mechanic = meeting.customer, meeting.mechanic
    customer.get_by_role("button", name="Other camera").click()
    sees(mechanic, "Cora Castillo")
    customer.get_by_role("button", name="Camera off").click()
    expect(mechanic.get_by_text("Cora Castillo is here, without a picture.")).to_be_visible()
    customer.get_by_role("button", name="Camera on").click()
    sees(mechanic, "Cora Castillo")


def end(meeting: Meeting) -> None:
    """The mechanic ends the session, and with it the call."""
    meeting.mechanic.get_by_role("button", name="End session").click()
    meeting.mechanic.get_by_role("button", name="End it now").click()
    for page in (meeting.customer, meeting.mechanic):
        at_stage(page, "over")
        expect(page.get_by_role("region", name="Video call")).to_be_hidden()


def overlook_the_end(*browsers: Windows) -> None:
    """Strike out what a page says of the call once the other has ended it, and a picture before its scan."""
    for each in browsers:
        each.troubles.overlook("409|410")
