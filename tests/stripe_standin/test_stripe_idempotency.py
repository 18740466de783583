"""Idempotency keys, as Stripe keeps them."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import stripe

from localcloud.stripe.http.service import running_stripe
from support.money.stripe_shop import StripeShop, client_of
from support.wait import wait_until

DAY = 24 * 3600
KEY: stripe.RequestOptions = {"idempotency_key": "payout-1"}


def send(stripe_shop: StripeShop, amount: int = 500, options: stripe.RequestOptions = KEY) -> stripe.Transfer:
    """Send money to the first mechanic there is, who is made when there is none."""
    accounts = stripe_shop.client.v1.accounts.list().data or [stripe_shop.mechanic()]
    return stripe_shop.client.v1.transfers.create(
        params={"amount": amount, "currency": "usd", "destination": accounts[0].id}, options=options
    )


@pytest.fixture
def funded(stripe_shop: StripeShop) -> StripeShop:
    """Put money into the platform's balance."""
    stripe_shop.control.add_funds(10_000)
    stripe_shop.mechanic()
    return stripe_shop


def test_the_same_request_gets_the_same_answer(funded: StripeShop) -> None:
    first, again = send(funded), send(funded)
    assert first.id == again.id
    assert first.last_response is not None
    assert again.last_response is not None
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert again.last_response.headers["Original-Request"] == first.last_response.request_id
    assert funded.control.books().transfers == (1, 500)


def test_a_key_is_good_for_one_request_only(funded: StripeShop) -> None:
    send(funded)
    with pytest.raises(stripe.IdempotencyError, match="same parameters"):
        send(funded, 501)
    with pytest.raises(stripe.IdempotencyError, match="same endpoint"):
        funded.client.v1.customers.create(options=KEY)
    with pytest.raises(stripe.InvalidRequestError, match="255 characters"):
        send(funded, options={"idempotency_key": "k" * 256})
    assert funded.control.books().transfers == (1, 500)


def test_a_key_lapses_after_a_day_and_pays_again(funded: StripeShop) -> None:
    first = send(funded)
    funded.control.advance(DAY - 60)
    assert send(funded).id == first.id
    funded.control.advance(120)
    assert send(funded).id != first.id


def test_keys_are_the_accounts_own(funded: StripeShop) -> None:
    account = funded.client.v1.accounts.list().data[0].id
    send(funded, 4000, {})
    keys: stripe.RequestOptions = {"idempotency_key": "same", "stripe_account": account}
    assert funded.client.v1.payouts.create(params={"amount": 10, "currency": "usd"}, options=keys).amount == 10
    assert send(funded, 20, {"idempotency_key": "same"}).amount == 20


def test_a_refusal_is_kept_once_the_operation_began(stripe_shop: StripeShop) -> None:
    """A payout that was too early needs a new key: the old one says so for a day."""
    stripe_shop.mechanic()
    for _try in range(2):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            send(stripe_shop)
        assert refused.value.code == "balance_insufficient"
        stripe_shop.control.add_funds(10_000)
    assert send(stripe_shop, options={"idempotency_key": "payout-1-again"}).amount == 500


def test_a_refusal_before_it_began_is_not_kept(funded: StripeShop) -> None:
    destination = funded.client.v1.accounts.list().data[0].id
    with pytest.raises(stripe.InvalidRequestError, match="currency"):
        funded.client.v1.transfers.create(params={"amount": 1, "destination": destination}, options=KEY)  # type: ignore[typeddict-item]
    assert send(funded).amount == 500


@pytest.mark.parametrize(("mode", "done"), [("error", 0), ("error_after", 1)])
def test_a_stored_500_is_replayed_whether_or_not_it_acted(funded: StripeShop, mode: str, done: int) -> None:
    fault = funded.control.fail(mode=mode, path="/v1/transfers", method="POST")
    for _try in range(3):
        with pytest.raises(stripe.APIError) as failed:
            send(funded)
        assert failed.value.http_status == 500
    assert fault.struck == 1
    assert funded.control.books().transfers == (done, 500 * done)
    assert len(funded.client.v1.transfers.list().data) == done
    send(funded, options={"idempotency_key": "another"})
    assert funded.control.books().transfers[0] == done + 1


def test_a_request_at_work_holds_its_key(funded: StripeShop) -> None:
    account = funded.client.v1.accounts.list().data[0].id
    fault = funded.control.fail(mode="slow", seconds=60)
    arrived = funded.control.fail(mode="unavailable", path="/v1/transfers", method="POST", every=1000)  # counts
    asks_once = client_of(funded.control, retries=0)

    def send_raw(client: stripe.StripeClient) -> stripe.Transfer:
        return client.v1.transfers.create(params={"amount": 5, "currency": "usd", "destination": account}, options=KEY)

    with ThreadPoolExecutor() as pool:
        running = pool.submit(send_raw, asks_once)
        wait_until(lambda: fault.waiting == 1 or running.done())
        with pytest.raises(stripe.APIError) as busy:
            send_raw(asks_once)
        assert (busy.value.http_status, busy.value.code) == (409, None)
        assert isinstance(busy.value.json_body, dict)
        assert busy.value.json_body["error"]["code"] == "idempotency_key_in_use"
        insisting = pool.submit(send_raw, client_of(funded.control, retries=8))
        wait_until(lambda: arrived.seen > 1 or insisting.done())
        assert not running.done()
        fault.let_go()
        assert insisting.result().id == running.result().id
    assert funded.control.books().transfers == (1, 5)


def test_gets_ignore_keys(stripe_shop: StripeShop) -> None:
    headers = {"Authorization": f"Bearer {stripe_shop.control.api_key}", "Idempotency-Key": "k"}
    for path in ("balance", "charges"):
        answer = httpx.get(f"{stripe_shop.control.url}/v1/{path}", headers=headers, trust_env=False)
        assert answer.is_success
        assert "Idempotent-Replayed" not in answer.headers


def test_keys_outlive_the_process(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("stripe")
    made = []
    for _start in range(2):
        with running_stripe(folder) as control:
            made.append(client_of(control).v1.customers.create(params={"name": "Ann"}, options=KEY).id)
    assert made[0] == made[1]
