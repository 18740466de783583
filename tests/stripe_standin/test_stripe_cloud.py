"""The stand-in beside the gateway: functions find it by their environment, and their routes get its webhooks."""

from pathlib import Path

import httpx

from localcloud.services.cloud import CloudSettings, running_cloud
from localcloud.stripe.state.store import forget_books
from support.money.stripe_shop import StripeShop, client_of

TEMPLATE = Path(__file__).parents[1] / "support" / "stacks" / "stripe" / "template.yaml"


def settings(folder: Path) -> CloudSettings:
    """Run the stack without a database."""
    return CloudSettings(
        template=TEMPLATE,
        data_dir=folder,
        app_database_url="postgresql://nobody@127.0.0.1:1/none",
        owner_database_url="postgresql://nobody@127.0.0.1:1/none",
        port=0,
        log=lambda _line: None,
        reload=False,
    )


def test_a_function_is_told_of_a_payment_and_asks_stripe_back(tmp_path: Path) -> None:
    with running_cloud(settings(tmp_path)) as cloud:
        assert cloud.stripe.url == f"{cloud.api_url}/_stripe"
        stripe_shop = StripeShop(cloud.stripe, client_of(cloud.stripe))
        charge = stripe_shop.paid()
        stripe_shop.mechanic()
        cloud.stripe.quiet(60)
        seen = httpx.get(f"{cloud.api_url}/seen", trust_env=False, timeout=30).json()
    assert sorted(seen["events"]) == ["account.updated", "account.updated", "checkout.session.completed"]
    assert seen["charges"] == [charge.id]


def test_a_function_that_may_not_read_the_secret_gets_no_keys(tmp_path: Path) -> None:
    """As when it is deployed: what the template forgets fails here too."""
    with running_cloud(settings(tmp_path)) as cloud:
        seen = cloud.invoke("NosyFunction", {})
    assert (seen.error, seen.payload) == (None, [])


def test_books_stay_until_they_are_forgotten(tmp_path: Path) -> None:
    with running_cloud(settings(tmp_path)) as cloud:
        charge = StripeShop(cloud.stripe, client_of(cloud.stripe)).paid()
        key = cloud.stripe.api_key
    with running_cloud(settings(tmp_path)) as cloud:
        client = client_of(cloud.stripe)
        assert client.v1.charges.retrieve(charge.id).amount == charge.amount
        forget_books(tmp_path)
        assert client.v1.charges.list().data == []
        assert cloud.stripe.api_key == key
