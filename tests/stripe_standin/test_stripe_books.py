"""The books always add up, and survive a process that is killed at any moment."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import httpx
import stripe

from localcloud.stripe.http.errors import ApiError
from localcloud.stripe.http.service import running_stripe
from support.money.stripe_shop import FEE, PRICE, StripeShop, WebhookReceiver, client_of, order
from support.wait import wait_until

SERVER = """
import sys, threading
from pathlib import Path
from localcloud.stripe.http.service import running_stripe
with running_stripe(Path(sys.argv[1]), webhooks_to=sys.argv[2]) as control:
    control.set_retries(first=0.1, longest=0.2)
    print(control.url, control.api_key, flush=True)
    threading.Event().wait()
"""


@contextmanager
def process(folder: Path, webhooks_to: str) -> Iterator[tuple[str, stripe.StripeClient]]:
    """Run a stand-in in a process of its own, and kill that."""
    with subprocess.Popen([sys.executable, "-c", SERVER, str(folder), webhooks_to], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        url, key = server.stdout.readline().decode().split()
        try:
            yield url, stripe.StripeClient(key, base_addresses={"api": url}, max_network_retries=0)
        finally:
            server.send_signal(signal.SIGKILL)


def test_a_killed_stand_in_has_lost_nothing(tmp_path: Path, receiver: WebhookReceiver) -> None:
    receiver.status = 503
    with process(tmp_path, receiver.url) as (url, client):
        session = client.v1.checkout.sessions.create(params=order())
        httpx.post(f"{url}/_control/pay", json={"session_id": session.id}, trust_env=False).raise_for_status()
        unpaid = client.v1.checkout.sessions.create(params=order())
        key = client._requestor.api_key  # noqa: SLF001 (it must stay good)
    before = len(receiver.got)
    receiver.status = 200
    with process(tmp_path, receiver.url) as (url, client):
        assert client._requestor.api_key == key  # noqa: SLF001
        assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"
        again = client.v1.checkout.sessions.retrieve(unpaid.id)
        assert again.url == f"{url}/pay/{unpaid.id}"
        quiet = httpx.post(f"{url}/_control/quiet", json={"within_seconds": 20}, trust_env=False, timeout=30)
        assert quiet.status_code == 200
    assert len(receiver.got) > before
    assert set(receiver.kinds()) == {"checkout.session.completed"}


def test_a_kill_in_the_middle_of_calls_leaves_whole_operations(tmp_path: Path, receiver: WebhookReceiver) -> None:
    made: list[str] = []
    with process(tmp_path, receiver.url) as (_url, client):

        def sell() -> None:
            try:
                while True:
                    made.append(client.v1.checkout.sessions.create(params=order()).id)
            except stripe.APIConnectionError:
                return

        sellers = [threading.Thread(target=sell) for _seller in range(3)]
        for seller in sellers:
            seller.start()
        wait_until(lambda: len(made) >= 10)
    for seller in sellers:
        seller.join()
    with running_stripe(tmp_path) as control:
        kept = {each["id"] for each in control.objects("checkout.session")}
        assert set(made) <= kept
        assert 0 <= len(kept) - len(made) <= 3
        assert control.imbalances() == []


class Life:
    """Random actions on an account at Stripe; each method is one action, which Stripe may refuse."""

    def __init__(self, stripe_shop: StripeShop, seed: int) -> None:
        self.chance = Random(seed)
        self._stripe_shop = stripe_shop
        self._control = stripe_shop.control
        self._accounts = [stripe_shop.mechanic().id for _account in range(2)]
        self._charges: list[str] = []

    def sell(self) -> None:
        self._charges.append(self._stripe_shop.paid(self.chance.randrange(50, 9999)).id)

    def refund(self) -> None:
        self._control.refund(self.chance.choice(self._charges), self.chance.randrange(1, 3000))

    def refund_all(self) -> None:
        self._control.refund(self.chance.choice(self._charges))

    def dispute(self) -> None:
        self._control.open_dispute(self.chance.choice(self._charges))

    def decide(self) -> None:
        dispute = self.chance.choice(self._control.objects("dispute"))
        self._control.close_dispute(dispute["id"], won=self.chance.random() < 0.5)

    def send(self) -> None:
        amount, account = self.chance.randrange(1, 5000), self.chance.choice(self._accounts)
        self._stripe_shop.client.v1.transfers.create(
            params={"amount": amount, "currency": "usd", "destination": account}
        )

    def send_from_charge(self) -> None:
        amount, account = self.chance.randrange(1, 5000), self.chance.choice(self._accounts)
        source = self.chance.choice(self._charges)
        self._stripe_shop.client.v1.transfers.create(
            params={"amount": amount, "currency": "usd", "destination": account, "source_transaction": source}
        )

    def reverse(self) -> None:
        transfer = self.chance.choice(self._control.objects("transfer"))
        self._control.reverse(transfer["id"], self.chance.randrange(1, 500))

    def pay_out(self) -> None:
        self._control.pay_out(self.chance.choice(self._accounts))


def test_a_random_life_always_adds_up(stripe_shop: StripeShop) -> None:
    stripe_shop.control.disturb(held=True)
    stripe_shop.control.add_funds(50_000)
    life = Life(stripe_shop, seed=4)
    steps = [life.sell, life.sell, life.refund, life.refund_all, life.dispute, life.decide]
    steps += [life.send, life.send_from_charge, life.reverse, life.pay_out]
    refused = 0
    for _step in range(250):
        try:
            life.chance.choice(steps)()
        except (ApiError, stripe.InvalidRequestError, IndexError):
            refused += 1
    assert refused < 200
    assert stripe_shop.control.imbalances() == []
    books = stripe_shop.control.books()
    assert min(books.charges[0], books.refunds[0], books.transfers[0], books.reversals[0], books.payouts[0]) > 0
    assert books.disputes_won[0] + books.disputes_lost[0] > 0


def test_totals(stripe_shop: StripeShop) -> None:
    control = stripe_shop.control
    account = stripe_shop.mechanic()
    one, two = stripe_shop.paid(), stripe_shop.paid()
    control.refund(one.id, 1000)
    control.close_dispute(control.open_dispute(two.id)["id"], won=False)
    stripe_shop.client.v1.transfers.create(
        params={"amount": 1500, "currency": "usd", "destination": account.id, "source_transaction": one.id}
    )
    control.reverse(control.objects("transfer")[0]["id"], 300)
    control.add_funds(77)
    books = control.books()
    assert (books.charges, books.refunds, books.transfers, books.reversals, books.topups) == (
        *((2, 2 * PRICE), (1, 1000), (1, 1500), (1, 300), (1, 77)),
    )
    assert (books.disputes_lost, books.charge_fees, books.dispute_fees) == ((1, PRICE), 2 * FEE, 1500)
    ours = sum(books.balances[control.platform_account]["usd"])
    assert ours == 2 * (PRICE - FEE) - 1000 - PRICE - 1500 - 1500 + 300 + 77
    assert sum(books.balances[account.id]["usd"]) == 1200


def test_workers_get_address_and_secrets(stripe_shop: StripeShop) -> None:
    variables = stripe_shop.control.environment()
    assert variables["STRIPE_API_BASE"] == stripe_shop.control.url
    assert json.loads(variables["STRIPE_SECRETS"]) == {
        "apiKey": stripe_shop.control.api_key,
        "webhookSecrets": stripe_shop.control.secrets("platform"),
        "connectWebhookSecrets": stripe_shop.control.secrets("connect"),
    }


def test_a_start_forgets_no_secret(tmp_path: Path) -> None:
    seen = set()
    for _start in range(2):
        with running_stripe(tmp_path) as control:
            seen.add((control.api_key, *control.secrets("platform"), *control.secrets("connect")))
            client_of(control).v1.balance.retrieve()
    assert len(seen) == 1
