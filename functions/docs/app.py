"""GET /api/openapi.json, /api/asyncapi.json, /api/docs, /problems and /problems/{slug}: the API's own description"""

from pathlib import Path

from autodoctor.describe.pages import Description
from autodoctor.web.http import Content, Request, Router

description = Description(Path(__file__).parent)
router = Router(static=True)


@router.route("GET /api/openapi.json", groups=[])
def openapi(_request: Request) -> Content:
    return description.document("openapi")


@router.route("GET /api/asyncapi.json", groups=[])
def asyncapi(_request: Request) -> Content:
    return description.document("asyncapi")


@router.route("GET /api/docs", groups=[])
def docs(_request: Request) -> Content:
    return description.docs()


@router.route("GET /problems", groups=[])
def problems(_request: Request) -> Content:
    return description.problems()


@router.route("GET /problems/{slug}", groups=[])
def problem(request: Request) -> Content:
    return description.problem(request.path["slug"])


handler = router.handler()
