"""The meaning of each type of problem, and what to do: the text of the page under its `type`.

A new error class in errors.py (or elsewhere) needs an entry here; tests/describe/test_problems.py reports a missing
one. Status, title and extras come from the class itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Guide:
    """The text for a person who looks up a problem.

    Attributes:
        means: what happened, in one or two sentences.
        do: what the client, or the person behind it, does next.
        extras: the meaning of each member that not every problem document has.
    """

    means: str
    do: str
    extras: Mapping[str, str] = field(default_factory=dict)


_ERRORS: Final = {"errors": "The wrong values: `pointer` (RFC 6901) is the place of each, `detail` the reason."}

GUIDES: Final[Mapping[str, Guide]] = {
    "malformed-json": Guide(
        "The body is not JSON (RFC 8259), is not UTF-8, or is nested too deeply. Nothing was done.",
        "Send the body as JSON. NaN and Infinity are not JSON. Sending the same bytes again gives the same answer.",
    ),
    "bad-signature": Guide(
        "A webhook's Stripe-Signature does not fit its body with any secret that we know, or its time is more than "
        "five minutes from now. Nothing was recorded.",
        "If you run this service: compare the signing secret of "
        "the endpoint in Stripe's dashboard with webhookSecrets (connectWebhookSecrets for connected accounts), and "
        "the clock.",
    ),
    "unauthenticated": Guide(
        "The token is valid, but is no access token of a user: perhaps an ID token, or one whose subject is no UUID. "
        "A token that is missing, expired or forged is refused before it reaches us, with a 401 that has no type.",
        "Sign in again and send the access token: Authorization: Bearer TOKEN.",
    ),
    "not-offered": Guide(
        "A request cannot be offered to this mechanic by an admin: `reason` says why. Nothing changed.",
        "Choose another mechanic; with `not_queued`, look at the session: somebody has it, or it is over.",
        {"reason": "Why not: not_queued, suspended, other_workshop, declined, own_session or busy."},
    ),
    "insufficient-credits": Guide(
        "The plan costs more credits than the customer has. No session was created and nothing was taken.",
        "Buy a pack of credits (POST /api/customer/credits/checkout), or pay by card.",
        {"balance": "Credits the customer has.", "price": "Credits the plan costs."},
    ),
    "extension-not-paid": Guide(
        "The customer has fewer credits than these minutes cost. No minutes were added and nothing was taken.",
        "Ask for them by card (`payWith: card`), or buy a pack of credits (POST /api/customer/credits/checkout).",
    ),
    "extension-not-possible": Guide(
        "The talk cannot be extended: it is not going on, has no minutes that could run out, or would be longer than a "
        "talk of its plan may be.",
        "What `extensionRefusal` says; for too_long, a smaller pack (GET /api/sessions/{sessionId}).",
        {"extensionRefusal": "Why not: not_live, no_minutes or too_long."},
    ),
    "extension-answered": Guide(
        "The mechanic has answered otherwise, the customer has asked for other minutes since, or the talk is over.",
        "See how far it is (GET /api/sessions/{sessionId}).",
        {"extensionStatus": "The status of the extension."},
    ),
    "forbidden": Guide(
        "The token's groups are not among those this route is for.",
        "Use an account of the right group. A user who was just put into a group needs a new token.",
    ),
    "mechanic-not-active": Guide(
        "The account is in the group of mechanics, but is not known as a mechanic, or is suspended. A suspended "
        "mechanic can still leave and end a session and decline an offer.",
        "Ask the service's support to add or reinstate the account; trying again changes nothing.",
    ),
    "own-session": Guide(
        "A mechanic asked for, or tried to take, a session that they started as a customer, or quoted for one that "
        "they started or escalated.",
        "Leave it to another mechanic.",
    ),
    "customer-erased": Guide(
        "The customer asked for their data to be erased, and it was. The account can start and buy nothing any more.",
        "Sign up with a new account.",
    ),
    "not-found": Guide(
        "Nothing has this id, or it is somebody else's: the two look the same, so that an id reveals nothing.",
        "Check the id, and that the token is that of the user it belongs to.",
    ),
    "conflict": Guide(
        "The request does not fit the present state of its object.",
        "Fetch the present state, then decide. Most conflicts have a type of their own.",
    ),
    "active-session-exists": Guide(
        "A customer has at most one session that is scheduled, pending, waiting or live, and there is one. No second "
        "one was created and nothing was charged.",
        "Lead the customer back to the session they have, or end it first (POST /api/sessions/{sessionId}/end).",
        {"activeSession": "The existing session: its `sessionId` and its `status`."},
    ),
    "payment-processing": Guide(
        "The customer has paid, and the bank has not said yet whether the money comes. Until then nothing else can be "
        "started, so that nothing is paid twice.",
        "Ask GET /api/intakes/{intakeId} until its status is no longer processing; some ways to pay take days.",
        {"intakeId": "The intake, or the purchase of credits, whose payment is being processed."},
    ),
    "payment-not-late": Guide(
        "The customer is asked what shall become of a payment only where it came late, once, and for a day.",
        "Ask GET /api/intakes/{intakeId}: its status says what has become of the payment.",
    ),
    "assignment-unavailable": Guide(
        "The mechanic could see this request once, but it was taken by another, withdrawn, is over, or its offer's "
        "time is up.",
        "Take it off the list, and fetch the queue again. Trying again changes nothing.",
        {"assignmentId": "The assignment that is no longer available."},
    ),
    "mechanic-busy": Guide(
        "A mechanic has at most one session that is waiting or live, and there is one.",
        "Return to that session (GET /api/mechanic/active-session), and end or release it first.",
    ),
    "session-ended": Guide(
        "The session is completed, cancelled or expired; that is final.",
        "Show the outcome (GET /api/sessions/{sessionId}). A customer starts a new intake.",
        {"sessionStatus": "The outcome: completed, cancelled or expired."},
    ),
    "notes-changed": Guide(
        "The notes were saved with this version or a newer one, with other words: by an earlier request that overtook "
        "this one, or on another device. These words were not saved.",
        "Nothing, if the words that were sent are old. Otherwise fetch the notes (GET /api/sessions/{sessionId}), "
        "show them, and save what the mechanic makes of both with a greater version.",
        {"version": "The version of the notes that are stored."},
    ),
    "notes-closed": Guide(
        "A mechanic may complete the notes for 24 hours after the session's end, and not after its customer's data "
        "was erased.",
        "Show the notes as they are. Trying again changes nothing.",
    ),
    "session-not-open": Guide(
        "A session that is scheduled, or that nobody has accepted yet, cannot be joined or called by this caller.",
        "Wait until its status says otherwise; a scheduled session opens shortly before its time.",
        {"sessionStatus": "Its status."},
    ),
    "no-video": Guide(
        "The plan of this session allows no video and no diagnosis by video, so it has no call.",
        "Go on in the room. A plan whose `sessionTypes` have `video` may also be asked for as a chat, and called.",
    ),
    "call-over": Guide(
        "The session is over, and its meeting is closed. No new one is made.",
        "Read the outcome (GET /api/sessions/{sessionId}); the room can still be read.",
        {"sessionStatus": "How it ended: completed, cancelled or expired."},
    ),
    "session-not-releasable": Guide(
        "Only a session that waits for its parties can be given back. A live one has to be ended.",
        "End it (POST /api/sessions/{sessionId}/end), or fetch it again if it should be waiting.",
        {"sessionStatus": "Its status."},
    ),
    "reply-not-due": Guide(
        "A customer may ask for another mechanic when theirs has neither written nor come for a few minutes. They are "
        "not over.",
        "Send the same request after the seconds in Retry-After; `replyDueAt` of the session says when that is.",
        {"retryAfterSeconds": "For how long the mechanic may still answer; as in the header."},
    ),
    "session-not-replaceable": Guide(
        "A customer may ask for another mechanic while the one who accepted has neither written nor come. Here nobody "
        "has accepted, the mechanic has written or is there, or the customer never joined.",
        "Fetch the session (GET /api/sessions/{sessionId}). Write to the mechanic, or end the session.",
        {"sessionStatus": "Its status."},
    ),
    "session-not-escalatable": Guide(
        "Only a session that is live or completed can be escalated: in others no mechanic has looked at the car yet.",
        "Wait until it is live. One that was cancelled or has expired needs a new intake.",
        {"sessionStatus": "Its status."},
    ),
    "quote-approved": Guide(
        "The customer has already approved a quote for this session, so no other workshop can be asked.",
        "Look at the quote that was approved (GET /api/quotes/{quoteId}).",
        {"quoteId": "The quote that was approved."},
    ),
    "quote-not-given": Guide(
        "The workshop has not named an amount yet, so there is nothing to approve.",
        "Wait for the amount; the customer gets a notification.",
    ),
    "quote-decided": Guide(
        "The quote was approved, declined, or superseded by the approval of another. That is final.",
        "Fetch it again (GET /api/quotes/{quoteId}). The mechanic may ask another workshop, unless one is approved.",
        {"quoteStatus": "The decision: approved, declined or superseded."},
    ),
    "quote-changed": Guide(
        "The workshop changed the amount after the customer had seen another one. Nothing was approved.",
        "Show the customer the new amount, and approve with it if they still want to.",
        {"amountCents": "The present amount, in cents."},
    ),
    "attachment-not-ready": Guide(
        "The file has not been uploaded yet, or is being checked for malware, which usually takes seconds.",
        "Ask again after the seconds in Retry-After, for a minute or two; show meanwhile that it is on its way.",
        {"attachmentId": "The attachment.", "attachmentState": "Its state: promised or scanning."},
    ),
    "attachment-gone": Guide(
        "The file was refused by the check for malware or could not be checked, was never uploaded, is past the time "
        "for which files are kept, or was erased on request.",
        "Do not ask again. Whoever sent it may send another one.",
        {"attachmentId": "The attachment.", "attachmentState": "Its state: refused or gone."},
    ),
    "session-busy": Guide(
        "Another request held the same session or customer's money for more than a second. Nothing was done.",
        "Send the same request again after the seconds in Retry-After. That is safe.",
    ),
    "validation": Guide(
        "The body is JSON, but a value in it, in the query or in a header is invalid. Nothing was done.",
        "Show each of `errors` at its field, and send the corrected request.",
        _ERRORS,
    ),
    "idempotency-key-reused": Guide(
        "This customer used the same Idempotency-Key for a different request within the last 24 hours. Nothing was "
        "done.",
        "Use a new key for each new request, and the same key and body only to repeat one.",
        _ERRORS,
    ),
    "too-many-requests": Guide(
        "One user may do this only so often, so that nobody uses up what others need. Nothing was done. A 429 without "
        "a type is API Gateway's: more calls came than this service takes, from everybody together.",
        "Send the same request again after the seconds in Retry-After. Whoever runs this service can raise the limit: "
        "a row of the table `limits`.",
        {"limit": "The name of the limit.", "retryAfterSeconds": "As in Retry-After."},
    ),
    "retired": Guide(
        "The route belonged to the system that this one replaced.",
        "Use the route in `successor`; the Link header has it too, as successor-version.",
        {"successor": "Path of the route that took its place."},
    ),
    "service-unavailable": Guide(
        "The database, or another service behind this one, did not answer or refused. Whether the request was carried "
        "out is not known.",
        "Send the same request again after the seconds in Retry-After, with the same Idempotency-Key if it had one. "
        "Every operation recognises its own work, so that is safe.",
    ),
    "payments-unavailable": Guide(
        "Stripe cannot be reached, did not answer in time or refused the request. Nobody was charged, and nothing is "
        "half-made.",
        "Send the same request again after the seconds in Retry-After.",
    ),
    "mechanic-erased": Guide(
        "The mechanic asked for their data to be erased, and it was. Nothing of them can be changed any more.",
        "Add them anew, with the `sub` of a new account (POST /api/admin/mechanics).",
    ),
    "mechanic-exists": Guide(
        "The user is a mechanic already, and can be only one.",
        "Change the existing one (PATCH /api/admin/mechanics/{mechanicId}).",
        {"mechanicId": "The existing mechanic."},
    ),
    "withdrawn-too-often": Guide(
        "The customer paid requests, or more minutes, by card and gave them up, as often in 24 hours as the operator "
        "allows. Nothing was stored. Each such payment is refunded in full, but costs the platform Stripe's fee.",
        "Pay with credits, or try again when the first of them is 24 hours old.",
        {"withdrawn": "How many there were in 24 hours."},
    ),
    "settlement-not-held": Guide(
        "The money of this session waits for nobody's decision, or somebody has decided otherwise.",
        "Look at the session: what is settled stays so. To move money all the same, do it in Stripe's dashboard.",
        {"outcome": "The decision that stands: pay, refund or none."},
    ),
    "evidence-over": Guide(
        "The evidence of this dispute was sent to the bank, or the dispute takes none any more. It is sent once.",
        "See the dispute (GET /api/admin/disputes/{evidenceId}): `closedBecause` says why.",
        {"evidenceState": "Its state: sent or closed."},
    ),
    "evidence-busy": Guide(
        "The evidence is being prepared, staged or sent at this moment.",
        "Look again in a minute.",
    ),
    "evidence-changed": Guide(
        "Somebody changed the evidence since you read it, or the customer's data was erased.",
        "Read it again (GET /api/admin/disputes/{evidenceId}) and edit that version.",
        {"version": "The version that stands."},
    ),
    "contest-not-open": Guide(
        "The session cannot be contested. Only one that was paid for can, from its settlement (a few minutes after its "
        "end) on, for 72 hours.",
        "What `contestState` says: not_settled, try again in a few minutes; given_back and nothing_paid, there is "
        "nothing to contest; over, write to the operator; erased, the customer's data is gone, and so are its words.",
        {"contestState": "Why not: not_settled, nothing_paid, given_back, over or erased."},
    ),
    "contest-exists": Guide(
        "The session is contested already, with other words. A session is contested once.",
        "See the contest (GET /api/sessions/{sessionId}/contest), and wait for its decision.",
    ),
    "contest-answered": Guide(
        "The mechanic has answered this contest already, with other words. A contest is answered once.",
        "See the contest (GET /api/sessions/{sessionId}/contest), and wait for its decision.",
    ),
    "contest-decided": Guide(
        "An admin has decided this contest: it can be neither answered nor decided otherwise.",
        "See the decision (GET /api/sessions/{sessionId}/contest).",
        {"contestOutcome": "The decision that stands: keep, part or all."},
    ),
    "payout-over": Guide(
        "The payout cannot be held: it was sent, or its customer has all of it back.",
        "To take back money that was sent, reverse the transfer in Stripe's dashboard.",
        {"payoutState": "The state of the payout."},
    ),
    "credit-pack-exists": Guide(
        "A pack of credits with this code exists already. Codes are never given twice.",
        "Choose another code, or change the existing pack (PATCH /api/admin/credit-packs/{code}).",
        {"code": "The code that is taken."},
    ),
    "plan-exists": Guide(
        "A plan with this code exists already. Codes are never given twice.",
        "Choose another code, or change the existing plan (PATCH /api/admin/plans/{code}).",
        {"code": "The code that is taken."},
    ),
}
