"""Routes of the system that this one replaces: 410, with a link to the successor"""

from typing import Final, NoReturn

from autodoctor.errors import Retired
from autodoctor.web.http import Request, Router

SUCCESSORS: Final = {
    "ANY /api/mechanics/requests": "/api/mechanic/queue",
    "ANY /api/mechanics/requests/{proxy+}": "/api/mechanic/queue",
    "ANY /api/mechanic/accept": "/api/mechanic/assignments/%7BassignmentId%7D/accept",
    "ANY /api/requests": "/api/intake/start",
    "ANY /api/requests/{proxy+}": "/api/intake/start",
    # Expiry no longer needs a caller: a schedule runs it, and the queue shows the remaining requests.
    "ANY /api/cron/expire-requests": "/api/mechanic/queue",
}

router = Router(static=True)


def retire(key: str, successor: str) -> None:
    @router.route(key, groups=[], raises=[Retired])
    def gone(_request: Request) -> NoReturn:
        raise Retired(successor)


for retired_key, successor_path in SUCCESSORS.items():
    retire(retired_key, successor_path)

handler = router.handler()
