"""The HTTP API of the template as data: its routes, throttles, authorizers and CORS."""

from collections.abc import Mapping
from dataclasses import dataclass

from localcloud.stack.cloudformation import TemplateError, Value, mapping, number, text

API_TYPE = "AWS::Serverless::HttpApi"
_NO_AUTHORIZER = "NONE"
_INTEGRATION_LIMIT_MS = 30_000


@dataclass(frozen=True)
class Throttle:
    """A token bucket: requests per second, and the burst."""

    rate: float
    burst: int


@dataclass(frozen=True)
class Route:
    """One route of the HTTP API; `authorizer` is None when it is public, `method` may be ANY."""

    method: str
    path: str
    function: str
    authorizer: str | None
    scopes: tuple[str, ...]
    timeout_seconds: float
    throttle: Throttle | None

    @property
    def key(self) -> str:
        """The route key in API Gateway's form: `GET /api/x` or `$default`."""
        return self.path if self.path == "$default" else f"{self.method} {self.path}"


@dataclass(frozen=True)
class JwtAuthorizer:
    """A JWT authorizer; a token must come from `issuer` for one of `audience`."""

    name: str
    issuer: str
    audience: tuple[str, ...]
    header: str


@dataclass(frozen=True)
class Cors:
    """The CORS settings of the API."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    expose: tuple[str, ...]
    max_age_seconds: int | None
    credentials: bool


def read_route(function: str, event: Mapping[str, Value], api: Mapping[str, Value]) -> Route:
    auth = mapping(event.get("Auth"), function)
    default = mapping(api.get("Auth"), API_TYPE).get("DefaultAuthorizer")
    authorizer = text(auth.get("Authorizer", default)) or _NO_AUTHORIZER
    path = text(event.get("Path", "$default"))
    method = text(event.get("Method", "ANY")).upper()
    method = "ANY" if method == "*" else method
    milliseconds = event.get("TimeoutInMillis", _INTEGRATION_LIMIT_MS)
    return Route(
        method=method,
        path=path,
        function=function,
        authorizer=None if authorizer == _NO_AUTHORIZER else authorizer,
        scopes=_texts(auth.get("AuthorizationScopes")),
        timeout_seconds=float(text(milliseconds)) / 1000,
        throttle=_throttle(api, f"{method} {path}"),
    )


def _throttle(api: Mapping[str, Value], key: str) -> Throttle | None:
    own = mapping(mapping(api.get("RouteSettings"), "RouteSettings").get(key), key)
    settings = {**mapping(api.get("DefaultRouteSettings"), "DefaultRouteSettings"), **own}
    rate, burst = settings.get("ThrottlingRateLimit"), settings.get("ThrottlingBurstLimit")
    if rate is None or burst is None:
        return None
    return Throttle(float(text(rate)), int(text(burst)))


def read_authorizers(api: Mapping[str, Value]) -> dict[str, JwtAuthorizer]:
    declared = mapping(mapping(api.get("Auth"), API_TYPE).get("Authorizers"), "Authorizers")
    found = {}
    for name, value in declared.items():
        jwt = mapping(mapping(value, name).get("JwtConfiguration"), name)
        if not jwt:
            raise TemplateError(f"authorizer {name}: only JWT authorizers are supported")
        source = text(mapping(value, name).get("IdentitySource", "$request.header.Authorization"))
        header = source.removeprefix("$request.header.").lower()
        found[name] = JwtAuthorizer(name, text(jwt.get("issuer")), _texts(jwt.get("audience")), header)
    return found


def read_cors(api: Mapping[str, Value]) -> Cors | None:
    value = api.get("CorsConfiguration")
    if not value:
        return None
    if value is True:
        return Cors(("*",), ("*",), ("*",), (), None, credentials=False)
    cors = mapping(value, "CorsConfiguration")
    return Cors(
        origins=_texts(cors.get("AllowOrigins")),
        methods=_texts(cors.get("AllowMethods")),
        headers=_texts(cors.get("AllowHeaders")),
        expose=_texts(cors.get("ExposeHeaders")),
        max_age_seconds=number(cors.get("MaxAge")),
        credentials=text(cors.get("AllowCredentials")) == "true",
    )


def _texts(value: Value) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [] if value is None else [value]
    return tuple(text(item) for item in items)
