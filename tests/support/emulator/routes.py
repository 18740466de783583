"""Makes an HTTP API's routes from its OpenAPI body, which MiniStack ignores, beside the stack of 500 resources."""

import re
from collections.abc import Mapping
from typing import Any

from support.template.deployed_template import REGION, Document

_ANY = "x-amazon-apigateway-any-method"


def make_routes(
    gateway: Any,  # noqa: ANN401 (boto3's client)
    api: str,
    body: Document,
    functions: Mapping[str, str],
    pool: tuple[str, str],
) -> None:
    """Make an integration for each function, a route for each path, and their authorizer.

    Args:
        gateway: boto3's client of `apigatewayv2`.
        api: its id.
        body: the OpenAPI document of the transformed template.
        functions: ARNs by logical id.
        pool: ids of the user pool and its client.
    """
    authorizer = gateway.create_authorizer(
        ApiId=api,
        Name="JwtAuthorizer",
        AuthorizerType="JWT",
        IdentitySource=["$request.header.Authorization"],
        JwtConfiguration={"Issuer": f"https://cognito-idp.{REGION}.amazonaws.com/{pool[0]}", "Audience": [pool[1]]},
    )["AuthorizerId"]
    integrations: dict[str, str] = {}
    for path, methods in body["paths"].items():
        for method, operation in methods.items():
            uri = operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
            (function,) = re.findall(r"\$\{(\w+)\.Arn\}", uri)
            if function not in integrations:
                integrations[function] = gateway.create_integration(
                    ApiId=api,
                    IntegrationType="AWS_PROXY",
                    IntegrationUri=functions[function],
                    PayloadFormatVersion="2.0",
                )["IntegrationId"]
            protected = "NONE" not in operation["security"][0]  # as SAM writes a public route
            guard = {"AuthorizationType": "JWT", "AuthorizerId": authorizer} if protected else {}
            key = "ANY" if method == _ANY else method.upper()
            target = f"integrations/{integrations[function]}"
            gateway.create_route(ApiId=api, RouteKey=f"{key} {path}", Target=target, **guard)
