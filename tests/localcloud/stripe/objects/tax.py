"""Stripe Tax, as far as a Checkout page shows it: one rate, within the price, known once the customer's address is."""

from typing import Final

from localcloud.stripe.http.errors import Json, invalid

PERCENT: Final = 10


def asked_for(params: Json) -> bool:
    """Whether a page reckons tax.

    Raises:
        ApiError: a price does not say that tax is within it; prices without tax are not the stand-in's.
    """
    wanted = bool(params.get("automatic_tax", {}).get("enabled", False))
    for number, item in enumerate(params["line_items"] if wanted else []):
        if (item.get("price_data") or {}).get("tax_behavior") != "inclusive":
            name = f"line_items[{number}][price_data][tax_behavior]"
            raise invalid("The stand-in reckons tax within the price only: tax_behavior inclusive", name)
    return wanted


def before_payment(*, wanted: bool) -> Json:
    """What a page that nobody has paid says of it."""
    status = "requires_location_inputs" if wanted else None
    return {"enabled": wanted, "liability": {"type": "self"} if wanted else None, "provider": None, "status": status}


def reckon(session: Json) -> None:
    """Reckon the tax of a page that was paid, where it was asked for."""
    if not session["automatic_tax"]["enabled"]:
        return
    total = session["amount_total"]
    session["total_details"]["amount_tax"] = total - round(total * 100 / (100 + PERCENT))
    session["automatic_tax"] = {**session["automatic_tax"], "provider": "stripe", "status": "complete"}
