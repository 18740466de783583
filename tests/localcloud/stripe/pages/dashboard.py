"""The dashboard: the books, with a button for everything that people do there by hand."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Final

from aiohttp import web

from localcloud.stripe.http.errors import ApiError, Json
from localcloud.stripe.objects.checkout import NotOpen
from localcloud.stripe.pages import html
from localcloud.stripe.pages.control import StripeControl
from localcloud.stripe.pages.pages import PAY, form

_SHOWN: Final = 30


class Dashboard:
    """`/`: payments, accounts, transfers, disputes, payouts, balance, webhooks."""

    def __init__(self, control: StripeControl) -> None:
        self._control = control

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        if request.method != "POST":
            return self._draw()
        if html.from_another_site(request):
            return html.notice("Refused", "This form was sent from another site.", 403)
        given = await form(request)
        act = _ACTIONS.get(given.get("action", ""))
        if act is None:
            return html.notice("Something went wrong", "There is no such button.", 400)
        try:
            act(self._control, given.get("id", ""))
        except (ApiError, NotOpen) as refused:
            return html.notice("Stripe refuses", str(refused), 409)
        return html.redirect(request.path)

    def _draw(self) -> web.Response:
        control = self._control
        books = control.books()
        balances = [
            (owner, html.money(available, currency), html.money(pending, currency))
            for owner, sums in books.balances.items()
            for currency, (available, pending) in sums.items()
        ]
        add = html.button("Add 100.00 USD", {"action": "add_funds", "id": "10000"})
        parts = [
            f"<h1>Stripe, on this machine</h1><p>{control.pending_webhooks()} webhooks pending. {add}</p>",
            _table("Balances", ("account", "available", "pending"), balances),
            self._table("Checkout", "checkout.session", ("amount_total", "status", "payment_status"), _of_session),
            self._table("Charges", "charge", ("amount", "status", "amount_refunded"), _of_charge),
            self._table("Refunds", "refund", ("amount", "status", "charge"), _of_refund),
            self._table("Disputes", "dispute", ("amount", "status"), _of_dispute),
            self._table("Transfers", "transfer", ("amount", "amount_reversed", "destination"), _of_transfer),
            self._table("Accounts", "account", ("email", "payouts_enabled"), _of_account),
            self._table("Payouts", "payout", ("amount", "status"), _of_payout),
        ]
        return html.page("Stripe, on this machine", "".join(parts))

    def _table(self, title: str, kind: str, columns: Sequence[str], buttons: Callable[[Json], str]) -> str:
        found = self._control.objects(kind)[::-1]
        rows = [
            [escape(each["id"]), *(escape(_cell(each, column)) for column in columns), buttons(each)]
            for each in found[:_SHOWN]
        ]
        return _table(f"{title} ({len(found)})", ("id", *columns, ""), rows)


def _cell(body: Json, column: str) -> str:
    value = body[column]
    return html.money(value, body["currency"]) if column.startswith("amount") else str(value)


def _table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Draw a table; its cells are HTML already."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<h2>{escape(title)}</h2><table><tr>{head}</tr>{body}</table>"


def _buttons(object_id: str, labels: Mapping[str, str]) -> str:
    return "".join(html.button(label, {"action": action, "id": object_id}) for action, label in labels.items())


def _of_session(session: Json) -> str:
    over = session["status"] == "expired" or session["payment_status"] == "paid"
    return "" if over else f'<a href="/_stripe{PAY}{escape(session["id"])}">open</a>'


def _of_charge(charge: Json) -> str:
    if charge["status"] != "succeeded" or charge["refunded"]:
        return ""
    labels = {"refund": "Refund", "refund_half": "Refund half"}
    return _buttons(charge["id"], labels if charge["disputed"] else {**labels, "open_dispute": "Dispute"})


def _of_refund(refund: Json) -> str:
    return _buttons(refund["id"], {"fail_refund": "Fail"}) if refund["status"] == "succeeded" else ""


def _of_dispute(dispute: Json) -> str:
    return "" if dispute["status"] in ("won", "lost") else _buttons(dispute["id"], {"win": "Win", "lose": "Lose"})


def _of_transfer(transfer: Json) -> str:
    return "" if transfer["reversed"] else _buttons(transfer["id"], {"reverse": "Reverse"})


def _of_account(account: Json) -> str:
    good = {"pay_out": "Pay out", "restrict": "Restrict"}
    return _buttons(account["id"], good if account["payouts_enabled"] else {"onboard": "Onboard"})


def _of_payout(payout: Json) -> str:
    return "" if payout["status"] == "failed" else _buttons(payout["id"], {"fail_payout": "Fail"})


_ACTIONS: Final[Mapping[str, Callable[[StripeControl, str], object]]] = {
    "add_funds": lambda control, amount: control.add_funds(int(amount)),
    "refund": lambda control, charge: control.refund(charge),
    "refund_half": lambda control, charge: control.refund(charge, control.left_of(charge) // 2),
    "fail_refund": lambda control, refund: control.fail_refund(refund),
    "open_dispute": lambda control, charge: control.open_dispute(charge),
    "win": lambda control, dispute: control.close_dispute(dispute, won=True),
    "lose": lambda control, dispute: control.close_dispute(dispute, won=False),
    "reverse": lambda control, transfer: control.reverse(transfer),
    "onboard": lambda control, account: control.onboard(account),
    "restrict": lambda control, account: control.restrict(account),
    "pay_out": lambda control, account: control.pay_out(account),
    "fail_payout": lambda control, payout: control.fail_payout(payout),
}
