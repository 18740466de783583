"""Events as the API lists them; webhooks.py delivers them."""

from localcloud.stripe.http.errors import Json
from localcloud.stripe.http.lists import page
from localcloud.stripe.state.state import Call, Criteria, State


def retrieve_event(state: State, call: Call) -> Json:
    """`GET /v1/events/{id}`."""
    return _with_pending(state, state.require("event", call.ids[0], account=call.account))


def list_events(state: State, call: Call) -> Json:
    """`GET /v1/events`: by type (`*` at the end stands for anything), time, and whether delivered."""
    where = state.conditions(Criteria({}, call.params.get("created")))
    if kind := call.params.get("type"):
        where["json_extract(body, '$.type') GLOB ?"] = kind
    if kinds := call.params.get("types"):
        where["instr(?, ' ' || json_extract(body, '$.type') || ' ')"] = f" {' '.join(kinds)} "
    if (delivered := call.params.get("delivery_success")) is not None:
        where["? = NOT EXISTS (SELECT 1 FROM delivery WHERE event_id = id AND state <> 'delivered')"] = int(delivered)
    found = page(state, call, "event", where)
    return {**found, "data": [_with_pending(state, each) for each in found["data"]]}


def _with_pending(state: State, event: Json) -> Json:
    row = state.store.one(
        "SELECT count(*) AS pending FROM delivery WHERE event_id = ? AND state = 'pending'", event["id"]
    )
    return {**event, "pending_webhooks": row["pending"] if row else 0}
