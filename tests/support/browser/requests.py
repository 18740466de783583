"""What a page has asked for and not got yet."""

from playwright.sync_api import Page, Request


def unanswered(page: Page) -> set[Request]:
    """The requests of a page, from now on, that have no answer yet: a set that changes by itself."""
    requests: set[Request] = set()

    def asked(request: Request) -> None:
        requests.add(request)

    def answered(request: Request) -> None:
        requests.discard(request)

    page.on("request", asked)
    page.on("requestfinished", answered)
    page.on("requestfailed", answered)
    return requests
