"""`/_dev/components`: the console's components in every state, from the console's own files."""

from pathlib import Path
from typing import Final

from aiohttp import web

PATH: Final = "/_dev/components"
_SCRIPT: Final = Path(__file__).with_name("components.js")
# as strict as the console's own: what works here works there
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_STYLES: Final = "".join(
    f'<link rel="stylesheet" href="/console/css/{name}.css">' for name in ("tokens", "console", "parts")
)
_PAGE: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Components of AutoDoctor</title>'
    '<link rel="icon" href="/console/icon.svg">'
    f'{_STYLES}<script type="module" src="{PATH}/components.js"></script></head><body>'
    '<a class="skip" href="#main">Skip to the content</a>'
    '<header class="bar"><a class="brand" href="/_dev"><span>Auto<b>Doctor</b></span></a>'
    '<nav aria-label="Pages"><a href="#forms" aria-current="page">Current</a><a href="#states">Other</a></nav></header>'
    '<main id="main" tabindex="-1"></main><div id="announcements" role="status" aria-live="polite"></div></body></html>'
)


async def serve(request: web.BaseRequest) -> web.StreamResponse:
    """Answer one request for the page or its script."""
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"}
    if request.path == PATH:
        return web.Response(text=_PAGE, content_type="text/html", headers=headers)
    if request.path == f"{PATH}/components.js":
        text = _SCRIPT.read_text(encoding="utf-8")
        return web.Response(text=text, content_type="text/javascript", headers=headers)
    return web.Response(status=404, text="no such page")
