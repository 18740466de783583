"""What customers do, and what both parties of a session do."""

from collections.abc import Mapping
from typing import Final

from autodoctor.describe.operation import Operation

OPERATIONS: Final[Mapping[str, Operation]] = {
    "POST /api/intake/start": Operation(
        "startIntake",
        "Ask for a mechanic",
        "Intake",
        "A customer says what is wrong and how they pay. Free and with credits, the answer is 201 with the session; "
        "`next` says whether the waiver is still to be signed. By card, it is 202 with the page to pay on, and the "
        "session comes with the payment. Asking again while that page is open gives the same page. With `waiver` in "
        "the same call the session goes straight to the queue.",
    ),
    "GET /api/intakes/{intakeId}": Operation(
        "getIntake",
        "See how far a paid intake is",
        "Intake",
        "For the page to which Stripe sends the customer back: ask until `status` is no longer `open` or `processing`.",
    ),
    "POST /api/waiver/submit": Operation(
        "signWaiver",
        "Sign the waiver",
        "Intake",
        "Puts the session into the queue. Signing again answers where it stands now; the first signature stands.",
    ),
    "POST /api/sessions/{sessionId}/join": Operation(
        "joinSession",
        "Say that I am here",
        "Sessions",
        "The session is live as soon as both parties are present. A socket whose id is given as `connectionId` "
        "records the leave by itself when it closes.",
    ),
    "POST /api/sessions/{sessionId}/leave": Operation(
        "leaveSession",
        "Say that I am gone",
        "Sessions",
        "Ends nothing: both may join again. Leaving what was never joined records nothing.",
    ),
    "POST /api/sessions/{sessionId}/end": Operation(
        "endSession",
        "End the session",
        "Sessions",
        "The outcome is computed from recorded evidence; a `status` in the request is ignored. Ending again answers "
        "what stands, with `alreadyEnded`. Admins may end any session.",
    ),
    "GET /api/sessions/{sessionId}": Operation(
        "getSession",
        "See a session with its timeline",
        "Sessions",
        "For its parties, and for admins.",
    ),
    "GET /api/customer/active-session": Operation(
        "getCustomerActiveSession", "See my active session as a customer", "Sessions", "`session` is null without one."
    ),
    "GET /api/customer/sessions": Operation(
        "listCustomerSessions", "List my sessions as a customer", "Sessions", "Newest first."
    ),
    "GET /api/customer/credits": Operation(
        "getCredits", "See my credits and how they came to be", "Payments", "Newest movement first."
    ),
    "POST /api/customer/credits/checkout": Operation(
        "buyCredits",
        "Buy a pack of credits",
        "Payments",
        "Answers the page to pay on; the credits come with the payment. Asking again while it is open gives the same "
        "page.",
    ),
    "GET /api/notifications": Operation("listNotifications", "List what I was told", "Notifications", "Newest first."),
    "POST /api/notifications/{notificationId}/read": Operation(
        "readNotification", "Mark one as read", "Notifications", "Again: the same answer."
    ),
    "POST /api/notifications/read-all": Operation("readAllNotifications", "Mark all as read", "Notifications"),
    "GET /api/notifications/preferences": Operation(
        "getNotificationPreferences", "See how I am told", "Notifications", "The language, and every kind there is."
    ),
    "PUT /api/notifications/preferences": Operation(
        "changeNotificationPreferences",
        "Choose how I am told",
        "Notifications",
        "What is not named stays as it is.",
    ),
    "POST /api/realtime/ticket": Operation(
        "createRealtimeTicket",
        "Get a ticket for the WebSocket",
        "Realtime",
        "Connect to `url` with `?ticket=` within `expiresIn` seconds; a ticket is good once. With `&since=SEQ` the "
        "feed first sends what was missed, or `resync`.",
    ),
}
