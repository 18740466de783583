"""The page of a document, such as a receipt: kept as a file, and printed."""

from pathlib import Path

from playwright.sync_api import Page, expect

from support.browser.window import Camera


def kept(page: Page, kind: str, folder: Path) -> bytes:
    """Download the document that is shown.

    Args:
        kind: PDF or CSV, as its button says.
        folder: where the browser may put it.
    """
    with page.expect_download() as download:
        page.get_by_role("button", name=f"Download {kind}").click()
    download.value.save_as(folder / kind)
    return (folder / kind).read_bytes()


def print_it(page: Page, camera: Camera) -> None:
    """Show the page as a printer gets it, which has no buttons, and take a picture of that."""
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="Print")).to_be_hidden()
    camera.take(page, "on paper")
