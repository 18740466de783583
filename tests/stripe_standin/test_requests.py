"""The common parts of every request: keys, unknown addresses, forms, lists, expanded fields."""

import httpx
import pytest
import stripe

from localcloud.stripe.http import forms, params, routes
from localcloud.stripe.http.errors import ApiError
from support.money.stripe_shop import StripeShop, client_of


def test_a_wrong_key_is_refused(stripe_shop: StripeShop) -> None:
    stranger = stripe.StripeClient("sk_test_of_somebody", base_addresses={"api": stripe_shop.control.url})
    with pytest.raises(stripe.AuthenticationError, match="Invalid API Key") as refused:
        stranger.v1.balance.retrieve()
    assert "of_some" not in str(refused.value)
    assert httpx.get(f"{stripe_shop.control.url}/v1/balance", trust_env=False).status_code == 401
    assert httpx.get(
        f"{stripe_shop.control.url}/v1/balance", auth=(stripe_shop.control.api_key, ""), trust_env=False
    ).is_success


def test_an_unknown_address_is_refused_in_stripes_way(stripe_shop: StripeShop) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL") as refused:
        stripe_shop.client.v1.products.list()
    assert refused.value.http_status == 404
    with pytest.raises(stripe.InvalidRequestError, match="No such charge: 'ch_none'") as refused:
        stripe_shop.client.v1.charges.retrieve("ch_none")
    assert (refused.value.http_status, refused.value.code, refused.value.param) == (404, "resource_missing", "id")


def test_answers_name_the_request_and_the_account(stripe_shop: StripeShop) -> None:
    account = stripe_shop.mechanic()
    answer = stripe_shop.client.v1.balance.retrieve(options={"stripe_account": account.id}).last_response
    assert answer is not None
    assert answer.headers["Request-Id"].startswith("req_")
    assert answer.headers["Stripe-Account"] == account.id
    assert answer.headers["Stripe-Version"] == "2026-10-28.endive"
    with pytest.raises(stripe.PermissionError) as refused:
        stripe_shop.client.v1.balance.retrieve(options={"stripe_account": "acct_nobody"})
    assert refused.value.request_id


def test_lists_are_paged_by_id_in_both_directions(stripe_shop: StripeShop) -> None:
    made = [stripe_shop.client.v1.customers.create(params={"name": str(number)}).id for number in range(7)][::-1]
    customers = stripe_shop.client.v1.customers
    assert [each.id for each in customers.list(params={"limit": 2}).auto_paging_iter()] == made
    page = customers.list(params={"limit": 2, "starting_after": made[1]})
    assert ([each.id for each in page.data], page.has_more) == (made[2:4], True)
    page = customers.list(params={"limit": 2, "ending_before": made[3]})
    assert ([each.id for each in page.data], page.has_more) == (made[1:3], True)
    for wrong in ({"limit": 101}, {"starting_after": "cus_none"}):
        with pytest.raises(stripe.InvalidRequestError):
            customers.list(params=wrong)  # type: ignore[arg-type] # wrong ones


def test_fields_are_expanded_in_objects_and_lists(stripe_shop: StripeShop) -> None:
    charge = stripe_shop.paid()
    listed = stripe_shop.client.v1.charges.list(
        params={"expand": ["data.balance_transaction", "data.payment_intent"]}
    ).data
    assert isinstance(listed[0].balance_transaction, stripe.BalanceTransaction)
    assert isinstance(listed[0].payment_intent, stripe.PaymentIntent)
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        stripe_shop.client.v1.charges.retrieve(charge.id, params={"expand": ["amount_of_love"]})


def test_events_are_listed_by_type(stripe_shop: StripeShop) -> None:
    stripe_shop.paid()
    events = stripe_shop.client.v1.events
    assert [each.type for each in events.list(params={"type": "checkout.*"}).data] == ["checkout.session.completed"]
    kinds = ["charge.succeeded", "payment_intent.succeeded"]
    assert {each.type for each in events.list(params={"types": kinds}).data} == set(kinds)
    event = events.list().data[0]
    assert events.retrieve(event.id).data.object["id"] == event.data.object["id"]
    stripe_shop.control.quiet()
    assert len(events.list(params={"delivery_success": False}).data) == 0


def test_every_route_is_one_of_the_sdk() -> None:
    for route in routes.ROUTES:
        assert params.load(route.params).__name__.endswith("Params")


def test_forms_nest() -> None:
    text = "a[b][0][c]=1&a[b][1][c]=2&list[]=x&list[]=y&empty="
    assert forms.decode(text) == {"a": {"b": [{"c": "1"}, {"c": "2"}]}, "list": ["x", "y"], "empty": ""}
    assert forms.decode("") == {}
    for wrong in ("a=1&a[b]=2", "[a]=1", "a]b=1", "nothing"):
        with pytest.raises(ApiError):
            forms.decode(wrong)


def test_metadata_may_be_named_like_anything(stripe_shop: StripeShop) -> None:
    made = stripe_shop.client.v1.customers.create(params={"metadata": {"created": "1", "_private": "2"}})
    assert made.metadata is not None
    assert made.metadata.to_dict() == {"created": "1", "_private": "2"}


def test_a_client_without_retries_works_too(stripe_shop: StripeShop) -> None:
    assert client_of(stripe_shop.control, retries=0).v1.balance.retrieve().pending[0].amount == 0
