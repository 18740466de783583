"""Every list and timeline of the API, as a call of its use case, over the rows of support.database.crowd."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Final

from autodoctor.admin.audit import changes_of
from autodoctor.admin.mechanics import mechanics, see_mechanic
from autodoctor.admin.payouts import payouts
from autodoctor.admin.workshops import workshops
from autodoctor.contests.cases import cases, session_case
from autodoctor.db import Database
from autodoctor.documents.receipts import receipt, receipts_of
from autodoctor.documents.statements import Statement, page_of_statement, statement, statements_of
from autodoctor.monitoring import session_search
from autodoctor.monitoring.analytics import analytics
from autodoctor.monitoring.dashboard import session_health
from autodoctor.monitoring.session_lookup import SearchRequest, find_sessions
from autodoctor.notifications.inbox import notifications
from autodoctor.payments.ledger.credits import credits_of
from autodoctor.payments.ledger.earnings import earnings
from autodoctor.payments.reconcile.runs import newest_runs
from autodoctor.quotes.views import mechanic_quotes, quote, session_quotes
from autodoctor.quotes.workshops import askable_workshops
from autodoctor.room.messages import listed
from autodoctor.sessions.active import customer_active_session, history, session_detail
from autodoctor.sessions.queue import fetch_queue
from autodoctor.web.schemas import ResponseModel, now
from support.database.crowd import ADMIN, CUSTOMER, MECHANIC, MECHANIC_ID, WORKSHOP, made

type Query = dict[str, str]
"""`limit` and `cursor` of an address, where there are any."""

type LongList = Callable[[Database, Query], ResponseModel]

WALKS: Final = {
    "mechanic: earnings": "its totals are of all earnings",
    "mechanic: quotes approved": "none is: all of one's own are looked at",
    "mechanic: statements": "a line for each month, of all bookings",
    "admin: a mechanic by name": "all names are compared",
    "admin: a mechanic by no name": "all names are compared",
    "admin: mechanics suspended": "none is: all are looked at",
    "admin: mechanics available": "all who are on duty are compared with all who are busy",
    "admin: mechanics in session": "none is: all are looked at",
    "admin: sessions by name": "all names that have the word",
    "session in the queue": "its place is looked for among the first thousand",
    "session: quotes": "a hundred of them, whatever is asked for",
    "admin: changes of a session": "who looked at it is found without an order",
    "admin: a mechanic": "their offers are looked for among all that wait",
    "admin: sessions money=payouts_waiting": "all that wait are put in order",
    "admin: sessions money=refunds_waiting": "all that wait are put in order",
    "admin: workshops": "the mechanics of each are counted",
    "customer: credits": "all packs are looked at for a dispute",
}
"""What looks at every row of its owner, or of one short-rowed table, and why; it still takes a tenth of a second."""

OF_A_DAY: Final = ("admin: sessions status=", "admin: sessions reason=", "admin: sessions alert=")
"""The beginnings of what looks at the sessions of a time: of a day, unless one asks for more."""

CROWDED: Final = {
    "admin: health",
    "admin: sessions alert=waiting_too_long",
    "admin: analytics",
    "mechanic: a statement",
}
"""What counts everybody who waits now, or every booking of a year: with a hundred thousand seconds, and not worse."""


def of_a_user(of: Callable[..., ResponseModel], *before: object) -> LongList:
    """A list whose use case takes limit and cursor by themselves."""
    return lambda database, query: of(database, *before, query.get("limit"), query.get("cursor"))


def of_admins(of: Callable[[Database, Query], ResponseModel], **fixed: str) -> LongList:
    """A list whose use case takes the query of the address."""
    return lambda database, query: of(database, query | fixed)


def found(text: str) -> LongList:
    """Sessions by people and payments."""

    def find(database: Database, query: Query) -> ResponseModel:
        wanted = SearchRequest(text=text, limit=int(query["limit"]), cursor=query.get("cursor"))
        return find_sessions(database, ADMIN, wanted)

    return find


def filtered(**filters: str) -> LongList:
    """Sessions behind a number that operators see."""
    return lambda database, query: session_search.search(
        database, session_search.Query(limit=query.get("limit"), cursor=query.get("cursor"), **filters)
    )


def room(rows: int, **fixed: str) -> LongList:
    """Messages of the longest room."""
    return lambda database, query: listed(database, CUSTOMER, made(0, rows), {"limit": query["limit"], **fixed})


def long_lists(rows: int) -> dict[str, LongList]:
    """Every list, by what it is.

    Args:
        rows: how many there are of everything.
    """
    busiest, last = made(0, rows), made(16, rows)
    return {
        "customer: sessions": of_a_user(history, "customer", CUSTOMER),
        "customer: credits": of_a_user(credits_of, CUSTOMER),
        "customer: receipts": of_a_user(receipts_of, CUSTOMER),
        "customer: a receipt": lambda database, _query: receipt(database, CUSTOMER, made(13, rows)),
        "customer: an active session": lambda database, _query: customer_active_session(database, made(19, rows)),
        "mechanic: sessions": of_a_user(history, "mechanic", MECHANIC),
        "mechanic: queue": of_a_user(fetch_queue, MECHANIC),
        "mechanic: earnings": of_a_user(earnings, MECHANIC),
        "mechanic: statements": lambda database, _query: statements_of(database, MECHANIC),
        "mechanic: a statement": lambda database, query: year(database, query.get("cursor")),
        "mechanic: workshops": of_a_user(askable_workshops, MECHANIC),
        "mechanic: quotes": of_a_user(mechanic_quotes, MECHANIC, None),
        "mechanic: quotes approved": of_a_user(mechanic_quotes, MECHANIC, "approved"),
        "notifications": of_a_user(notifications, CUSTOMER),
        "session": lambda database, _query: session_detail(database, CUSTOMER, busiest),
        "session in the queue": lambda database, _query: session_detail(database, made(19, rows), last),
        "session: quotes": lambda database, _query: session_quotes(database, CUSTOMER, busiest),
        "session: a quote": lambda database, _query: quote(database, CUSTOMER, made(14, rows)),
        "session: messages": room(rows),
        "session: messages from the first": room(rows, after="0"),
        **dict(_of_operators(rows)),
    }


def year(database: Database, cursor: str | None) -> Statement:
    """A page of this year's statement."""
    return page_of_statement(statement(database, MECHANIC, str(now().year)), cursor)


def _of_operators(rows: int) -> Iterator[tuple[str, LongList]]:
    busiest = str(made(0, rows))
    yield "admin: cases", of_admins(cases)
    yield "admin: a case", lambda database, _query: session_case(database, ADMIN, made(0, rows))
    yield "admin: changes of a mechanic", of_admins(changes_of, mechanicId=str(MECHANIC_ID))
    yield "admin: changes of a session", of_admins(changes_of, sessionId=busiest)
    yield "admin: mechanics", of_admins(mechanics)
    yield "admin: a mechanic by name", of_admins(mechanics, search="mia")
    yield "admin: a mechanic by no name", of_admins(mechanics, search="nobody")
    yield "admin: mechanics suspended", of_admins(mechanics, status="suspended")
    yield "admin: mechanics available", of_admins(mechanics, standing="available")
    yield "admin: mechanics in session", of_admins(mechanics, standing="in_session")
    yield "admin: mechanics of a workshop", of_admins(mechanics, workshopId=str(WORKSHOP))
    yield "admin: a mechanic", lambda database, _query: see_mechanic(database, MECHANIC_ID)
    yield "admin: workshops", of_a_user(workshops)
    yield "admin: payouts", of_admins(payouts)
    yield "admin: payouts held", of_admins(payouts, state="held")
    yield "admin: payouts failed", of_admins(payouts, state="failed")
    yield "admin: payouts of a mechanic", of_admins(payouts, mechanicId=str(MECHANIC_ID), state="held")
    yield "admin: comparisons with Stripe", lambda database, query: newest_runs(database, query["limit"])
    yield "admin: health", lambda database, _query: session_health(database)
    a_day_ago = (now() - timedelta(days=1)).isoformat()
    yield "admin: analytics", lambda database, _query: analytics(database, a_day_ago, bucket="hour")
    yield "admin: sessions", filtered()
    for name, values in session_search.FILTERS.items():
        yield from ((f"admin: sessions {name}={value}", filtered(**{name: value})) for value in values)
    texts = {"e-mail": "cora@", "name": "Mia Moreno", "customer": str(CUSTOMER), "mechanic": str(MECHANIC)}
    yield from ((f"admin: sessions by {name}", partial(found(text))) for name, text in texts.items())
    yield "admin: sessions by id", found(busiest)
