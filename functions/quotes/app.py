"""What follows a session: /escalate and the routes of quotes and workshops; /api/sessions/{sessionId}/contest"""

from autodoctor.contests import contests
from autodoctor.contests.errors import (
    ContestAnswered,
    ContestDecided,
    ContestExists,
    ContestNotFound,
    ContestNotOpen,
)
from autodoctor.db import database
from autodoctor.errors import MechanicNotActive, SessionBusy, SessionNotFound, TooManyRequests
from autodoctor.events.publish import Publisher
from autodoctor.quotes import quotes
from autodoctor.quotes import views as quote_views
from autodoctor.quotes.errors import (
    OwnQuote,
    QuoteApproved,
    QuoteChanged,
    QuoteDecided,
    QuoteNotFound,
    QuoteNotGiven,
    SessionNotEscalatable,
)
from autodoctor.quotes.views import Quote, Quotes, SessionQuotes
from autodoctor.quotes.workshops import AskableWorkshops, askable_workshops
from autodoctor.web.http import Request, Router
from autodoctor.web.schemas import EmptyBody

router = Router()
db = database()
publisher = Publisher(db)


def publish(changed: Quote) -> None:
    publisher.publish(changed.quote_id)


@router.route(
    "POST /api/sessions/{sessionId}/escalate",
    groups=["mechanics"],
    body=quotes.EscalationRequest,
    raises=[MechanicNotActive, QuoteApproved, SessionBusy, SessionNotEscalatable, SessionNotFound, TooManyRequests],
    status=201,
    after=publish,
)
def escalate(request: Request) -> Quote:
    session_id = request.id("sessionId", SessionNotFound)
    return quotes.escalate(db, request.caller.user_id, session_id, request.json(quotes.EscalationRequest))


@router.route(
    "POST /api/quotes/{quoteId}/amount",
    groups=["mechanics"],
    body=quotes.AmountRequest,
    raises=[MechanicNotActive, OwnQuote, QuoteDecided, QuoteNotFound, SessionBusy, TooManyRequests],
    after=publish,
)
def give_amount(request: Request) -> Quote:
    quote_id = request.id("quoteId", QuoteNotFound)
    return quotes.give_amount(db, request.caller.user_id, quote_id, request.json(quotes.AmountRequest))


@router.route(
    "POST /api/quotes/{quoteId}/approve",
    groups=["customers"],
    body=quotes.ApprovalRequest,
    raises=[QuoteChanged, QuoteDecided, QuoteNotFound, QuoteNotGiven, SessionBusy],
    metric="QuotesApproved",
    after=publish,
)
def approve(request: Request) -> Quote:
    quote_id = request.id("quoteId", QuoteNotFound)
    return quotes.approve(db, request.caller.user_id, quote_id, request.json(quotes.ApprovalRequest))


@router.route(
    "POST /api/quotes/{quoteId}/decline",
    groups=["customers"],
    body=EmptyBody,
    raises=[QuoteDecided, QuoteNotFound, SessionBusy],
    after=publish,
)
def decline(request: Request) -> Quote:
    quote_id = request.id("quoteId", QuoteNotFound)
    request.json(EmptyBody)
    return quotes.decline(db, request.caller.user_id, quote_id)


@router.route("GET /api/quotes/{quoteId}", groups=["customers", "mechanics", "admins"], raises=[QuoteNotFound])
def see(request: Request) -> Quote:
    quote_id, caller = request.id("quoteId", QuoteNotFound), request.caller
    return quote_views.quote(db, caller.user_id, quote_id, any_quote=caller.is_admin)


@router.route(
    "GET /api/sessions/{sessionId}/quotes", groups=["customers", "mechanics", "admins"], raises=[SessionNotFound]
)
def of_session(request: Request) -> SessionQuotes:
    session_id, caller = request.id("sessionId", SessionNotFound), request.caller
    return quote_views.session_quotes(db, caller.user_id, session_id, any_session=caller.is_admin)


@router.route(
    "GET /api/mechanic/quotes", groups=["mechanics"], query=["cursor", "limit", "status"], raises=[MechanicNotActive]
)
def of_mechanic(request: Request) -> Quotes:
    query = request.query
    return quote_views.mechanic_quotes(
        db, request.caller.user_id, query.get("status"), query.get("limit"), query.get("cursor")
    )


@router.route(
    "GET /api/mechanic/workshops", groups=["mechanics"], query=["cursor", "limit"], raises=[MechanicNotActive]
)
def workshops(request: Request) -> AskableWorkshops:
    query = request.query
    return askable_workshops(db, request.caller.user_id, query.get("limit"), query.get("cursor"))


def publish_contest(changed: contests.SessionContest) -> None:
    publisher.publish(changed.session_id)


@router.route(
    "GET /api/sessions/{sessionId}/contest", groups=["customers", "mechanics", "admins"], raises=[SessionNotFound]
)
def see_contest(request: Request) -> contests.SessionContest:
    session_id, caller = request.id("sessionId", SessionNotFound), request.caller
    return contests.session_contest(db, caller.user_id, session_id, any_session=caller.is_admin)


@router.route(
    "POST /api/sessions/{sessionId}/contest",
    groups=["customers"],
    body=contests.ContestRequest,
    raises=[ContestExists, ContestNotOpen, SessionNotFound],
    status=201,
    metric="SessionsContested",
    after=publish_contest,
)
def contest(request: Request) -> contests.SessionContest:
    session_id = request.id("sessionId", SessionNotFound)
    return contests.contest(db, request.caller.user_id, session_id, request.json(contests.ContestRequest))


@router.route(
    "POST /api/sessions/{sessionId}/contest/answer",
    groups=["mechanics"],
    body=contests.AnswerRequest,
    raises=[ContestAnswered, ContestDecided, ContestNotFound, ContestNotOpen, SessionNotFound],
    after=publish_contest,
)
def answer_contest(request: Request) -> contests.SessionContest:
    session_id = request.id("sessionId", SessionNotFound)
    return contests.answer(db, request.caller.user_id, session_id, request.json(contests.AnswerRequest))


handler = router.handler()
