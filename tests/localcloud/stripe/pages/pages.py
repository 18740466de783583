"""The pages that people see: checkout, and the onboarding of a connected account."""

from html import escape
from typing import Final, cast
from urllib.parse import parse_qsl

from aiohttp import web

from localcloud.stripe.http.errors import ApiError, Json
from localcloud.stripe.objects import checkout, connect
from localcloud.stripe.objects.checkout import Choice, NotOpen
from localcloud.stripe.objects.connect import LinkOver
from localcloud.stripe.objects.payments import DECLINED, Payer
from localcloud.stripe.pages import html
from localcloud.stripe.state.state import State

PAY: Final = "/pay/"
ONBOARDING: Final = "/onboarding/"
_CHOICES: Final = ("pay", "fail", "pay_later")
_LONGEST_FORM: Final = 16 * 1024


async def form(request: web.BaseRequest) -> dict[str, str]:
    """Read a small form."""
    body = await request.content.read(_LONGEST_FORM)
    return dict(parse_qsl(body.decode(errors="replace")))


class CheckoutPage:
    """`/pay/{session}`: Pay, Fail, Pay later, Cancel; afterwards the bank's answer."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def serve(self, request: web.BaseRequest, session_id: str) -> web.StreamResponse:
        """Answer one request."""
        if html.from_another_site(request) and request.method != "GET":
            return html.notice("Refused", "This form was sent from another site.", 403)
        try:
            if request.method == "POST":
                return self._posted(session_id, await form(request))
            with self._state.store.transaction():
                checkout.expire_due(self._state)
            return _draw(self._state.require(checkout.KIND, session_id))
        except ApiError:
            return html.notice("Something went wrong", "There is no such Checkout Session.", 404)
        except NotOpen:
            return html.notice("This payment page is closed", "It was paid already, or it has expired.", 409)

    def _posted(self, session_id: str, given: dict[str, str]) -> web.Response:
        action = given.get("action", "")
        session = self._state.require(checkout.KIND, session_id)
        if action == "cancel" and session["cancel_url"]:
            return html.redirect(session["cancel_url"])
        with self._state.store.transaction():
            if action in ("bank_pays", "bank_refuses"):
                after = checkout.answer_of_bank(self._state, session_id, paid=action == "bank_pays")
                return _draw(after)
            if action not in _CHOICES:
                return html.notice("Something went wrong", "There is no such button.", 400)
            payer = Payer(given.get("email") or None, given.get("name") or None)
            after = checkout.choose(self._state, session_id, cast("Choice", action), payer)
        if action == "fail":
            return _draw(after, DECLINED)
        return html.redirect(checkout.success_url(after))


def _draw(session: Json, problem: str = "") -> web.Response:
    total = html.money(session["amount_total"], session["currency"])
    items = "".join(
        f"<tr><td>{escape(item['description'])}</td><td>{item['quantity']}</td>"
        f"<td>{html.money(item['amount_total'], session['currency'])}</td></tr>"
        for item in session["_line_items"]
    )
    head = f"<p class=mode>Test mode</p><h1>Checkout</h1><p class=total>{total}</p><table>{items}</table>"
    urls = [session["success_url"], session["cancel_url"] or ""]
    body = head + (_buttons(session, problem) if session["status"] == "open" else _afterwards(session))
    return html.page("Checkout", f"<main class=narrow>{body}</main>", leads_to=urls)


def _buttons(session: Json, problem: str) -> str:
    said = f'<p class=problem role="alert">{escape(problem)} You can try again.</p>' if problem else ""
    email = escape(session["customer_email"] or "")
    fields = (
        f'<label>E-mail <input name="email" type="email" autocomplete="email" value="{email}"></label>'
        '<label>Name on card <input name="name" autocomplete="cc-name"></label>'
    )
    choices = (
        '<button class=first name="action" value="pay">Pay</button><div class=row>'
        '<button name="action" value="fail">Fail</button>'
        '<button name="action" value="pay_later">Pay later</button>'
        + ('<button name="action" value="cancel" formnovalidate>Cancel</button>' if session["cancel_url"] else "")
        + "</div>"
    )
    note = (
        "<small>This is not Stripe: no money moves. Fail: the card is declined. "
        "Pay later: the bank answers days later, on this page.</small>"
    )
    return f'{said}<form method="post">{fields}{choices}</form><p>{note}</p>'


def _afterwards(session: Json) -> str:
    if session["status"] == "expired":
        return "<p>This Checkout Session has expired.</p>" + _way_back(session["cancel_url"])
    back = _way_back(checkout.success_url(session))
    if session["payment_status"] == "paid":
        return "<p>Paid.</p>" + back
    if session.get("_refused"):
        return "<p>The bank has refused the payment.</p>" + back
    buttons = "".join(
        html.button(label, {"action": action}, first=action == "bank_pays")
        for label, action in (("The bank pays", "bank_pays"), ("The bank refuses", "bank_refuses"))
    )
    return f"<p>The bank has not answered yet.</p>{buttons}{back}"


def _way_back(url: str | None) -> str:
    return f'<p><a href="{escape(url)}">Back to the shop</a></p>' if url else ""


class OnboardingPage:
    """`/onboarding/{link}`: a mechanic's forms at Stripe, as two buttons."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def serve(self, request: web.BaseRequest, link_id: str) -> web.StreamResponse:
        """Answer one request."""
        if html.from_another_site(request) and request.method != "GET":
            return html.notice("Refused", "This form was sent from another site.", 403)
        try:
            if request.method == "POST":
                given = await form(request)
                with self._state.store.transaction():
                    return html.redirect(connect.follow(self._state, link_id, finish=given.get("action") == "finish"))
            link = connect.open_link(self._state, link_id)
        except LinkOver as over:
            return html.redirect(over.refresh_url)
        except ApiError:
            return html.notice("Something went wrong", "There is no such link.", 404)
        body = (
            "<main class=narrow><h1>Get paid</h1><p>Here mechanics prove their identity and enter a bank account.</p>"
            + html.button("Finish", {"action": "finish"}, first=True)
            + html.button("Leave unfinished", {"action": "leave"})
            + "</main>"
        )
        return html.page("Get paid", body, leads_to=[link["_return_url"]])
