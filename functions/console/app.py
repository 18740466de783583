"""GET /, /console, /console/{file+}: the console, a small web application in static/"""

from pathlib import Path

from autodoctor.errors import NotFound
from autodoctor.settings import required, session_base_url
from autodoctor.web.http import Content, Request, Router
from autodoctor.web.static_files import Calls, Places, StaticFiles

FRONT = Content("", "text/plain; charset=utf-8", 302, {"Location": "/console/index.html"})
LOST = Content("", "text/plain; charset=utf-8", 302, {"Location": "/console/lost.html"})
PAGES = {  # the paths after SessionBaseUrl in answers, in mails and at Stripe
    "chat": "session.html",
    "video": "session.html",
    "intakes": "customer.html",
    "credits": "customer.html",
    "receipts": "customer.html",
    "mechanic": "mechanic.html",
    "settings": "settings.html",
}
site = StaticFiles(
    Path(__file__).parent / "static",
    "/console",
    PAGES,
    Places(
        issuer=required("CONSOLE_ISSUER"),
        medium=required("CONSOLE_MEDIUM"),
        client_id=required("CONSOLE_CLIENT_ID"),
        connects_to=required("CONSOLE_CONNECTS_TO"),
        pictures_from=required("CONSOLE_PICTURES_FROM"),
        sessions=session_base_url(),
    ),
    Calls("session.html", client="js/call/chime-sdk.js", bundle=Path(required("CONSOLE_MEDIUM_CLIENT"))),
)
router = Router(static=True)


@router.route("GET /", groups=[])
@router.route("GET /console", groups=[])
def front(_request: Request) -> Content:
    return FRONT


@router.route(
    "GET /console/{file+}", groups=[], headers=["accept", "accept-encoding", "if-none-match"], raises=[NotFound]
)
def file(request: Request) -> Content | Content[bytes]:
    name = request.path.get("file", "")
    if not name:  # /console/, for which there can be no route of its own
        return FRONT
    found = site.file(name, request.headers.get("if-none-match"), request.headers.get("accept-encoding", ""))
    if found is None and "text/html" in request.headers.get("accept", ""):  # a person's browser, not a program
        return LOST
    if found is None:
        raise NotFound("The console has no such file.")
    return found


handler = router.handler()
