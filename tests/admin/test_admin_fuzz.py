"""Random requests of an admin to the admin routes: a success or a 4xx with a reason, never a 5xx."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodoctor.ids import new_id
from journey.test_fuzz import check, contents, fuzzed, segments, texts
from support.account import Account
from support.admin_changes import NEW_PLAN

PACK = {"code": "two", "name": "Two", "credits": 2, "priceCents": 1900, "active": True}
MECHANIC = {"name": "Mona", "email": "mona@example.com", "workshopId": None}
ROUTES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "add a mechanic": ("POST", "mechanics", {"userId": str(new_id()), **MECHANIC}),
    "change a mechanic": ("PATCH", "mechanics/{mechanic}", {"status": "active", **MECHANIC}),
    "add a workshop": ("POST", "workshops", {"name": "Piston"}),
    "add a plan": ("POST", "plans", NEW_PLAN),
    "change a plan": ("PATCH", "plans/quick", {**NEW_PLAN, "usesPerCustomer": 5, "mechanicFixedPayCents": 0}),
    "change the free plan": ("PATCH", "plans/free", {"priceCents": 0, "credits": 0}),
    "add a pack": ("POST", "credit-packs", PACK),
    "change a pack": ("PATCH", "credit-packs/five", PACK),
}
queries = st.dictionaries(
    st.sampled_from(["limit", "cursor", "status", "workshopId", "search"]), texts, max_size=3
).map(lambda query: {name: text.encode(errors="replace").decode() for name, text in query.items()})


@pytest.mark.parametrize("what", ROUTES)
def test_any_body_of_an_admin(account: Account, what: str) -> None:
    method, path, good = ROUTES[what]
    path = f"/api/admin/{path}".format(mechanic=account.world.mechanic().id)

    @fuzzed
    @given(content=contents(good))
    def send(content: bytes) -> None:
        check(account.admin(), method, path, content=content)

    send()


@pytest.mark.parametrize("path", ["mechanics", "workshops"])
def test_any_query_of_an_admin(account: Account, path: str) -> None:
    @fuzzed
    @given(query=queries)
    def send(query: dict[str, str]) -> None:
        assert check(account.admin(), "GET", f"/api/admin/{path}", params=query) in {200, 422}

    send()


@pytest.mark.parametrize("path", ["mechanics", "workshops", "plans", "credit-packs"])
def test_any_id_or_code_in_the_path(account: Account, path: str) -> None:
    @fuzzed
    @given(segment=segments)
    def send(segment: str) -> None:
        assert check(account.admin(), "PATCH", f"/api/admin/{path}/{segment}", content=b"{}") in {404, 422, 200}

    send()
