"""GET /api/admin/analytics"""

from autodoctor.db import database
from autodoctor.monitoring.analytics import Analytics, analytics
from autodoctor.monitoring.analytics_csv import as_content, wants_csv
from autodoctor.web.http import Content, Request, Router

router = Router()
db = database()


@router.route(
    "GET /api/admin/analytics", groups=["admins"], query=["bucket", "format", "from", "to"], headers=["accept"]
)
def report(request: Request) -> Analytics | Content:
    query = request.query
    csv = wants_csv(query.get("format"), request.headers.get("accept"))
    made = analytics(db, query.get("from"), query.get("to"), query.get("bucket"))
    return as_content(made) if csv else made


handler = router.handler()
