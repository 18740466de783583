"""GET /api/plans"""

from autodoctor.db import database
from autodoctor.payments.checkout import price_list
from autodoctor.web.http import Request, Router

router = Router()
db = database()


@router.route("GET /api/plans", groups=[])
def fetch(_request: Request) -> price_list.Plans:
    return price_list.plans(db)


handler = router.handler()
