"""Evidence of a dispute: staged as often as one likes, submitted to the bank once."""

from typing import Final

from localcloud.stripe.http.errors import ApiError, Json, invalid
from localcloud.stripe.objects.disputes import OPEN
from localcloud.stripe.objects.metadata import merged
from localcloud.stripe.state.state import Call, State

MOST_FILE_BYTES: Final = 4_500_000
"""Of all files of a dispute together; of their pages there are at most 50, which nobody here counts."""
MOST_CHARACTERS: Final = 150_000
MOST_OF_A_FIELD: Final = 20_000

_FILES: Final = frozenset(
    {
        *("cancellation_policy", "customer_communication", "customer_signature", "duplicate_charge_documentation"),
        *("receipt", "refund_policy", "service_documentation", "shipping_documentation", "uncategorized_file"),
    }
)
_NOT_HERE: Final = ("appeal", "enhanced_evidence")


def update_dispute(state: State, call: Call) -> Json:
    """`POST /v1/disputes/{id}`: stages evidence, and unless `submit` is false submits what is staged to the bank."""
    dispute = state.require("dispute", call.ids[0])
    given = call.params.get("evidence", {})
    dispute["metadata"] = merged(dispute["metadata"], call.params.get("metadata"))
    submits = call.params.get("submit", bool(given))
    if given or submits:
        _stage(state, dispute, given)
    if submits:
        _submit(state, dispute)
    state.save(dispute)
    state.emit("charge.dispute.updated", dispute)
    return dispute


def _stage(state: State, dispute: Json, given: Json) -> None:
    if dispute["status"] not in OPEN:
        raise ApiError(f"This dispute is already closed: {dispute['status']}.")
    if dispute["evidence_details"]["submission_count"]:
        raise ApiError("Evidence has already been submitted for this dispute.")
    for name in _NOT_HERE:
        if name in given:
            raise invalid(f"This stand-in takes no {name}.", f"evidence[{name}]")
    evidence = {name: value for name, value in {**dispute["evidence"], **given}.items() if value != ""}
    _check_texts({name: value for name, value in evidence.items() if name not in _FILES})
    _check_files(state, {name: value for name, value in evidence.items() if name in _FILES})
    dispute["evidence"] = evidence
    dispute["evidence_details"]["has_evidence"] = bool(evidence)


def _submit(state: State, dispute: Json) -> None:
    details = dispute["evidence_details"]
    if not details["has_evidence"]:
        raise ApiError("There is no evidence to submit for this dispute.", param="evidence")
    dispute["status"] = "under_review"
    details["submission_count"] += 1
    details["past_due"] = state.now() > details["due_by"]


def _check_texts(texts: Json) -> None:
    for name, text in texts.items():
        if len(text) > MOST_OF_A_FIELD:
            raise invalid(f"Evidence may have at most {MOST_OF_A_FIELD} characters in a field.", f"evidence[{name}]")
    if sum(map(len, texts.values())) > MOST_CHARACTERS:
        raise invalid(f"Evidence may have at most {MOST_CHARACTERS} characters in all fields together.", "evidence")


def _check_files(state: State, files: Json) -> None:
    total = 0
    for name, file_id in files.items():
        found = state.require("file", file_id, f"evidence[{name}]")
        if found["purpose"] != "dispute_evidence":
            raise invalid(f"File {file_id} was not uploaded as dispute_evidence.", f"evidence[{name}]")
        total += found["size"]
    if total > MOST_FILE_BYTES:
        raise invalid(f"Evidence files may have at most {MOST_FILE_BYTES} bytes together.", "evidence")
