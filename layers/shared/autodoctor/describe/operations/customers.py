"""Operations of customers, and of both parties of a session."""

from collections.abc import Mapping
from typing import Final

from autodoctor.describe.operation import Operation

OPERATIONS: Final[Mapping[str, Operation]] = {
    "POST /api/intake/start": Operation(
        "startIntake",
        "Request a mechanic",
        "Intake",
        "A customer describes the problem and chooses how to pay. If free or paid with credits, the answer is 201 "
        "with the session; `next` says whether the waiver is still to be signed. By card, the answer is 202 with the "
        "payment page, and the payment creates the session. Repeating it while that page is open gives the same page. "
        "With `waiver` in the same call, the session enters the queue at once.",
    ),
    "GET /api/intakes/{intakeId}": Operation(
        "getIntake",
        "See the state of an intake paid by card",
        "Intake",
        "For the page to which Stripe sends the customer back: ask until `status` is no longer `open` or `processing`, "
        "or until `answerUntil` says that the customer is asked.",
    ),
    "POST /api/intakes/{intakeId}/answer": Operation(
        "answerLatePayment",
        "Say what shall become of a payment that came late",
        "Intake",
        "A payment that took more than an hour starts nothing by itself: `answerUntil` of the intake says until when "
        "its customer can `start` the session, or have the payment `give_back`. Without an answer it goes back.",
    ),
    "POST /api/waiver/submit": Operation(
        "signWaiver",
        "Sign the waiver",
        "Intake",
        "Puts the session into the queue. Signing again answers the present state; the first signature counts.",
    ),
    "POST /api/intakes/attachments": Operation(
        "promiseIntakeAttachment",
        "Promise a file for an intake",
        "Attachments",
        "Before the intake: POST the file to `upload.url` as multipart/form-data, `upload.fields` first and the file "
        "last, as the field `file`. Storage takes this type, length and checksum only. Then name the attachment in "
        "`attachmentIds` of the intake, within a day.",
    ),
    "POST /api/sessions/{sessionId}/attachments": Operation(
        "promiseSessionAttachment",
        "Promise a file for the room of a session",
        "Attachments",
        "Like the one for an intake, for a party of a session that is open. The message that shows it names its id.",
    ),
    "GET /api/attachments/{attachmentId}": Operation(
        "readAttachment",
        "Read a file",
        "Attachments",
        "For the parties of its session, whoever sent it, and admins; its first picture also for mechanics whose queue "
        "shows the request. `url` is good for a minute. Until the file has been checked for malware the answer is 409: "
        "ask again after the seconds in Retry-After.",
    ),
    "POST /api/sessions/{sessionId}/join": Operation(
        "joinSession",
        "Join a session",
        "Sessions",
        "The session is live as soon as both parties are present. A socket whose id is given as `connectionId` "
        "records the leave by itself when it closes.",
    ),
    "POST /api/sessions/{sessionId}/leave": Operation(
        "leaveSession",
        "Leave a session",
        "Sessions",
        "The session goes on, and both may join again. Leaving without having joined records nothing.",
    ),
    "POST /api/sessions/{sessionId}/replace": Operation(
        "replaceMechanic",
        "Ask for another mechanic",
        "Sessions",
        "From `replyDueAt` of the session on: the mechanic accepted and has neither written nor come. The session is "
        "queued for the others, at its old place. Repeating it gives the same answer until another mechanic accepts.",
    ),
    "POST /api/sessions/{sessionId}/end": Operation(
        "endSession",
        "End the session",
        "Sessions",
        "The outcome is computed from recorded evidence; a `status` in the request is ignored. Ending again answers "
        "the same outcome, with `alreadyEnded`. Admins may end any session; both parties read their `explanation`.",
    ),
    "GET /api/sessions/{sessionId}": Operation(
        "getSession",
        "See a session with its timeline",
        "Sessions",
        "For its parties, and for admins.",
    ),
    "POST /api/sessions/{sessionId}/call": Operation(
        "enterCall",
        "Enter the call",
        "Call",
        "From the accept to the end, where the plan has video. The first press makes the one meeting of the session, "
        "and every press answers it with a place in it for the caller, as the medium's client takes them.",
    ),
    "POST /api/sessions/{sessionId}/call/report": Operation(
        "reportHeard",
        "Say that you hear the other",
        "Call",
        "As the page joins, and then every 15 seconds: the window in which packets of the other party kept coming, "
        "which ends where none came for two seconds; `packets` is 0 where none came. It is evidence as far as the "
        "other page says the same.",
    ),
    "POST /api/sessions/{sessionId}/messages": Operation(
        "postMessage",
        "Say something in the room",
        "Room",
        "Everybody in the room hears it at once (`message` in /api/asyncapi.json). The customer may write from the "
        "request on, the mechanic from the accept on, and nobody after the end. Sending the same `clientId` again is "
        "the same message, so an answer that was lost costs nothing.",
    ),
    "GET /api/sessions/{sessionId}/messages": Operation(
        "listMessages",
        "Read the room",
        "Room",
        "In order. With `after`, the messages that follow it: how a client that was away catches up. With neither, the "
        "last ones. For its parties, also after the end, and for admins; a mechanic who gave the session back sees "
        "nothing of it.",
    ),
    "POST /api/sessions/{sessionId}/messages/read": Operation(
        "markRead",
        "Say how far you have read",
        "Room",
        "One number for each party, which only grows.",
    ),
    "GET /api/customer/active-session": Operation(
        "getCustomerActiveSession", "See my active session as a customer", "Sessions", "`session` is null without one."
    ),
    "GET /api/customer/sessions": Operation(
        "listCustomerSessions", "List my sessions as a customer", "Sessions", "Newest first."
    ),
    "GET /api/customer/credits": Operation(
        "getCredits", "See my credits and their movements", "Payments", "Newest movement first."
    ),
    "POST /api/customer/credits/checkout": Operation(
        "buyCredits",
        "Buy a pack of credits",
        "Payments",
        "Answers the page to pay on; the credits come with the payment. Asking again while it is open gives the same "
        "page.",
    ),
    "GET /api/customer/receipts": Operation(
        "listReceipts",
        "List my receipts and credit notes",
        "Payments",
        "Newest first: one for each payment, for each session paid with credits, and for whatever went back.",
    ),
    "GET /api/receipts/{receiptId}": Operation(
        "getReceipt",
        "See or print a receipt or credit note",
        "Payments",
        "As JSON, as printable HTML (`Accept: text/html`) or as PDF (`Accept: application/pdf`); `format` says it too. "
        "Documents are never changed: what goes back later is on a credit note of its own. For its customer, and for "
        "admins.",
        query={
            "format": (
                "The answer's format; by default, the one in Accept.",
                {"type": "string", "enum": ["json", "html", "pdf"]},
            )
        },
        content={"text/html": {"type": "string"}, "application/pdf": {"type": "string", "format": "binary"}},
    ),
    "GET /api/notifications": Operation("listNotifications", "List my notifications", "Notifications", "Newest first."),
    "POST /api/notifications/{notificationId}/read": Operation(
        "readNotification", "Mark one as read", "Notifications", "Repeating it gives the same answer."
    ),
    "POST /api/notifications/read-all": Operation(
        "readAllNotifications", "Mark all notifications as read", "Notifications"
    ),
    "POST /api/notifications/confirm-address": Operation(
        "confirmAddress",
        "Confirm my address",
        "Notifications",
        "The link of a confirmation leads to a page that asks this. An address that the sign-in has verified (the "
        "token's `email` with `email_verified`) needs none.",
    ),
    "GET /api/notifications/preferences": Operation(
        "getNotificationPreferences",
        "See my notification settings",
        "Notifications",
        "The language, and every kind of notification.",
    ),
    "PUT /api/notifications/preferences": Operation(
        "changeNotificationPreferences",
        "Change my notification settings",
        "Notifications",
        "Kinds that are not named stay as they are.",
    ),
    "POST /api/sessions/{sessionId}/extend": Operation(
        "extendSession",
        "Ask for more minutes",
        "Sessions",
        "The mechanic has to agree first. Credits are taken then, and the minutes added. By card, the same request "
        "after that answers `checkoutUrl`; the minutes are added when Stripe has the payment, and until then the grace "
        "is longer. Another pack takes the place of what is not paid.",
    ),
    "GET /api/push/subscriptions": Operation(
        "listPushSubscriptions",
        "List the browsers that call me",
        "Notifications",
        "Subscribe with `publicKey` as `applicationServerKey`. A browser that subscribed with another key has to ask "
        "anew.",
    ),
    "POST /api/push/subscriptions": Operation(
        "subscribeToPush",
        "Have a browser call me",
        "Notifications",
        "Takes what `PushSubscription.toJSON()` gives. Again is the same; a browser calls the last user who asked. One "
        "browser too many takes the place of the oldest.",
    ),
    "POST /api/push/subscriptions/{subscriptionId}/end": Operation(
        "endPushSubscription", "Do not have a browser call me any more", "Notifications"
    ),
    "POST /api/push/test": Operation(
        "testPush",
        "Call all my browsers, to see whether it works",
        "Notifications",
        "Browsers that their push service no longer knows are forgotten.",
    ),
    "POST /api/realtime/ticket": Operation(
        "createRealtimeTicket",
        "Get a ticket for the WebSocket",
        "Realtime",
        "Connect to `url` with `?ticket=` within `expiresIn` seconds; a ticket is good once. With `&since=SEQ` the "
        "feed first sends what was missed, or `resync`.",
    ),
}
