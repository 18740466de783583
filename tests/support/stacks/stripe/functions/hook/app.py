"""Receives webhooks correctly, and reports which came and Stripe's state of their payments."""

import base64
import json
import os
from typing import Any

import stripe

SECRETS = json.loads(os.environ["STRIPE_SECRETS"])
CLIENT = stripe.StripeClient(
    SECRETS["apiKey"], base_addresses={"api": os.environ["STRIPE_API_BASE"]}, max_network_retries=2
)
_seen: list[str] = []


def handler(event: dict[str, Any], _context: object) -> object:
    """Answer a webhook, or what was seen."""
    route = event["routeKey"]
    if route == "GET /seen":
        charges = [charge.id for charge in CLIENT.v1.charges.list().data]
        return {"statusCode": 200, "body": json.dumps({"events": _seen, "charges": charges})}
    body = base64.b64decode(event["body"]) if event["isBase64Encoded"] else event["body"].encode()
    secrets = SECRETS["webhookSecrets" if route.endswith("/webhook") else "connectWebhookSecrets"]
    found = stripe.Webhook.construct_event(body, event["headers"]["stripe-signature"], secrets[0])
    _seen.append(str(found.type))
    return {"statusCode": 200, "body": "{}"}
