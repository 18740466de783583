"""GET /api/plans"""

from autodoctor.db import database
from autodoctor.http import Request, Router
from autodoctor.payments import plans

router = Router()
db = database()


@router.route("GET /api/plans", groups=[])
def fetch(_request: Request) -> plans.Plans:
    return plans.plans(db)


handler = router.handler()
