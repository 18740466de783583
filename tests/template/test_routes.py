"""Every route is one of SPEC.md#http, has its function, and asks for a token unless it is meant to be public."""

from typing import Any

from autodoctor.web.http import Router

type Document = dict[str, Any]

PROTECTED = {
    "POST /api/intake/start",
    "POST /api/waiver/submit",
    "GET /api/mechanic/queue",
    "POST /api/mechanic/assignments/{assignmentId}/accept",
    "POST /api/mechanic/assignments/{assignmentId}/decline",
    "POST /api/sessions/{sessionId}/join",
    "POST /api/sessions/{sessionId}/leave",
    "POST /api/sessions/{sessionId}/release",
    "POST /api/sessions/{sessionId}/replace",
    "POST /api/sessions/{sessionId}/end",
    "PUT /api/sessions/{sessionId}/notes",
    "GET /api/sessions/{sessionId}",
    "POST /api/intakes/attachments",
    "POST /api/sessions/{sessionId}/attachments",
    "GET /api/attachments/{attachmentId}",
    "GET /api/customer/active-session",
    "GET /api/mechanic/active-session",
    "GET /api/customer/sessions",
    "GET /api/mechanic/sessions",
    "GET /api/mechanic/availability",
    "POST /api/mechanic/availability",
    "GET /api/notifications",
    "POST /api/notifications/read-all",
    "POST /api/notifications/{notificationId}/read",
    "GET /api/notifications/preferences",
    "PUT /api/notifications/preferences",
    "POST /api/notifications/confirm-address",
    "GET /api/push/subscriptions",
    "POST /api/push/subscriptions",
    "POST /api/push/subscriptions/{subscriptionId}/end",
    "POST /api/push/test",
    "POST /api/realtime/ticket",
    "GET /api/admin/mechanics",
    "GET /api/admin/mechanics/{mechanicId}",
    "POST /api/admin/mechanics",
    "PATCH /api/admin/mechanics/{mechanicId}",
    "POST /api/admin/mechanics/{mechanicId}/renew-account",
    "GET /api/admin/workshops",
    "POST /api/admin/workshops",
    "PATCH /api/admin/workshops/{workshopId}",
    "GET /api/admin/plans",
    "POST /api/admin/plans",
    "PATCH /api/admin/plans/{code}",
    "GET /api/admin/credit-packs",
    "POST /api/admin/credit-packs",
    "PATCH /api/admin/credit-packs/{code}",
    "GET /api/admin/payouts",
    "POST /api/admin/payouts/{payoutId}/hold",
    "POST /api/admin/sessions/{sessionId}/decide",
    "POST /api/admin/sessions/{sessionId}/contest/decide",
    "GET /api/admin/cases",
    "GET /api/admin/changes",
    "GET /api/admin/cases/{sessionId}",
    "GET /api/admin/disputes/{evidenceId}",
    "POST /api/admin/disputes/{evidenceId}/evidence",
    "GET /api/sessions/{sessionId}/contest",
    "POST /api/sessions/{sessionId}/contest",
    "POST /api/sessions/{sessionId}/contest/answer",
    "POST /api/sessions/{sessionId}/extend",
    "POST /api/sessions/{sessionId}/extend/{extensionId}/answer",
    "POST /api/admin/payouts/{payoutId}/release",
    "GET /api/admin/reconcile",
    "GET /api/admin/verify",
    "GET /api/admin/session-health",
    "GET /api/admin/sessions",
    "POST /api/admin/sessions/search",
    "POST /api/admin/sessions/{sessionId}/message",
    "POST /api/admin/sessions/{sessionId}/offer",
    "POST /api/admin/sessions/{sessionId}/contact",
    "GET /api/admin/analytics",
    "GET /api/admin/dead-letters",
    "POST /api/admin/dead-letters/{queue}/redrive",
    "GET /api/customer/credits",
    "GET /api/customer/receipts",
    "GET /api/receipts/{receiptId}",
    "POST /api/customer/credits/checkout",
    "GET /api/intakes/{intakeId}",
    "POST /api/intakes/{intakeId}/answer",
    "POST /api/admin/credits",
    "GET /api/mechanic/earnings",
    "GET /api/mechanic/referral-code",
    "POST /api/mechanic/netting",
    "GET /api/mechanic/statements",
    "GET /api/mechanic/statements/{month}",
    "POST /api/sessions/{sessionId}/messages",
    "POST /api/sessions/{sessionId}/call",
    "POST /api/sessions/{sessionId}/call/report",
    "GET /api/sessions/{sessionId}/messages",
    "POST /api/sessions/{sessionId}/messages/read",
    "POST /api/sessions/{sessionId}/escalate",
    "GET /api/sessions/{sessionId}/quotes",
    "GET /api/mechanic/quotes",
    "GET /api/mechanic/workshops",
    "GET /api/quotes/{quoteId}",
    "POST /api/quotes/{quoteId}/amount",
    "POST /api/quotes/{quoteId}/approve",
    "POST /api/quotes/{quoteId}/decline",
    "GET /api/mechanic/onboarding",
    "POST /api/mechanic/onboarding",
}
# What can be bought, what Stripe signs, what the API says of itself, and the retired ones: they say 410 to everybody.
PUBLIC = {
    "GET /",
    "GET /console",
    "GET /console/{file+}",
    "GET /api/plans",
    "POST /api/stripe/webhook",
    "POST /api/stripe/connect-webhook",
    "GET /api/openapi.json",
    "GET /api/asyncapi.json",
    "GET /api/docs",
    "GET /problems",
    "GET /problems/{slug}",
    "ANY /api/mechanics/requests",
    "ANY /api/mechanics/requests/{proxy+}",
    "ANY /api/mechanic/accept",
    "ANY /api/requests",
    "ANY /api/requests/{proxy+}",
    "ANY /api/cron/expire-requests",
}


def routes_by_folder(resources: Document) -> dict[str, set[str]]:
    """Return the routes of each function that has any, as the template gives them."""
    found: dict[str, set[str]] = {}
    for resource in resources.values():
        for event in resource["Properties"].get("Events", {}).values():
            if event["Type"] == "HttpApi":
                folder = resource["Properties"]["CodeUri"].split("/")[1]
                route = f"{event['Properties']['Method']} {event['Properties']['Path']}"
                found.setdefault(folder, set()).add(route)
    return found


def operations(transformed: Document) -> dict[str, Document]:
    """Return what API Gateway gets, by route key."""
    paths = transformed["Api"]["Properties"]["Body"]["paths"]
    return {
        f"{'ANY' if method.startswith('x-') else method.upper()} {path}": operation
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


def test_the_api_is_the_contract(transformed: Document) -> None:
    assert set(operations(transformed)) == PROTECTED | PUBLIC


def test_only_the_listed_routes_are_public(transformed: Document) -> None:
    for key, operation in operations(transformed).items():
        expected = "NONE" if key in PUBLIC else "JwtAuthorizer"
        assert operation["security"] == [{expected: []}], key


def test_the_authorizer_takes_the_issuer_given_or_the_pool_of_the_stack(transformed: Document) -> None:
    scheme = transformed["Api"]["Properties"]["Body"]["components"]["securitySchemes"]["JwtAuthorizer"]
    jwt = scheme["x-amazon-apigateway-authorizer"]["jwtConfiguration"]
    assert jwt["issuer"]["Fn::If"][::2] == ["UseCognito", {"Ref": "JwtIssuer"}]
    assert jwt["audience"]["Fn::If"] == [
        "UseCognito",
        [{"Ref": "UserPoolClient"}],
        {"Fn::Split": [",", {"Ref": "JwtAudience"}]},
    ]


def test_an_issuer_without_an_audience_is_refused(template: Document) -> None:
    rule = template["Rules"]["AudienceWithIssuer"]
    assert rule["Assertions"][0]["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "JwtAudience"}, ""]}]}


def test_handlers_serve_exactly_the_routes_of_the_template(resources: Document, routers: dict[str, Router]) -> None:
    assert {folder: set(router.routes) for folder, router in routers.items()} == routes_by_folder(resources)


def test_a_route_with_groups_is_protected_and_one_without_is_public(routers: dict[str, Router]) -> None:
    for router in routers.values():
        for key, route in router.routes.items():
            assert bool(route.groups) is (key in PROTECTED), key


def test_every_route_is_throttled_and_logged_without_personal_data(transformed: Document) -> None:
    stage = transformed["ApiApiGatewayDefaultStage"]["Properties"]
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] == {"Ref": "ThrottlingRate"}
    assert stage["DefaultRouteSettings"]["ThrottlingBurstLimit"] == {"Ref": "ThrottlingBurst"}
    line = stage["AccessLogSettings"]["Format"]
    for personal in ("sourceIp", "userAgent", "claims", "$context.path", "identity"):
        assert personal not in line


def test_server_errors_of_the_api_raise_an_alarm(alarms: Document) -> None:
    assert any(
        (alarm.get("Namespace"), alarm.get("MetricName")) == ("AWS/ApiGateway", "5xx")
        and alarm["Dimensions"] == [{"Name": "ApiId", "Value": {"Ref": "Api"}}]
        for alarm in alarms.values()
    )


def test_browsers_of_the_allowed_origins_get_in_with_a_token_and_a_key(
    template: Document, transformed: Document
) -> None:
    condition, cors, otherwise = transformed["Api"]["Properties"]["Body"]["x-amazon-apigateway-cors"]["Fn::If"]
    assert (condition, otherwise) == ("HasOrigins", {"Ref": "AWS::NoValue"})
    default = template["Parameters"]["AllowedOrigins"]["Default"]
    assert cors["allowOrigins"] == {"Fn::Split": [",", default]}
    assert {"authorization", "content-type", "idempotency-key"} <= set(cors["allowHeaders"])
    assert set(cors["allowMethods"]) == {key.split()[0] for key in PROTECTED}
