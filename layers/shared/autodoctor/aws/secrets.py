"""Secrets from Secrets Manager, and the database's connection URL that one of them completes."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from autodoctor.aws.errors import ServiceRefused, ServiceUnreachable
from autodoctor.settings import required

_EXTENSION_PORT: Final = "2773"
"""The extension's own default."""
AUTHORITIES: Final = Path(__file__).with_name("database-authorities.pem")
"""Those that sign the certificates of RDS, Aurora and RDS Proxy."""


def _extension() -> str:
    port = os.environ.get("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT") or _EXTENSION_PORT
    return f"http://localhost:{port}/secretsmanager/get?secretId="


def check_database() -> None:
    """Check that `database_url()` has what it needs, without fetching the secret.

    Raises:
        SettingMissing: neither `DATABASE_URL` nor all of DATABASE_HOST, _NAME and _SECRET_ARN are set.
    """
    if not os.environ.get("DATABASE_URL"):
        for name in ("DATABASE_HOST", "DATABASE_NAME", "DATABASE_SECRET_ARN"):
            required(name)


def database_url() -> str:
    """The connection URL: `DATABASE_URL`, or one made from the DATABASE_* settings and the present secret.

    Asked again for every new connection, so that a rotated password is followed. The secret comes
    from the AWS Parameters and Secrets extension, which caches it: no boto3 at cold start. The database
    must show a certificate for its host of an authority that the secret names (`certificateAuthority`,
    PEM), or else of Amazon's.

    Raises:
        SettingMissing: neither is configured.
        AwsError: the secret cannot be read.
    """
    if url := os.environ.get("DATABASE_URL"):
        return url
    secret = secret_json(required("DATABASE_SECRET_ARN"))
    user, password = quote(secret["username"], safe=""), quote(secret["password"], safe="")
    host, port = required("DATABASE_HOST"), os.environ.get("DATABASE_PORT", "5432")
    database = f"postgresql://{user}:{password}@{host}:{port}/{required('DATABASE_NAME')}"
    return f"{database}?sslmode=verify-full&sslrootcert={quote(str(_authorities(secret)), safe='')}"


def _authorities(secret: dict[str, Any]) -> Path:
    """The file of the authorities to trust; one that a secret brings is written down, as libpq reads files only."""
    brought = secret.get("certificateAuthority")
    if not brought:
        return AUTHORITIES
    name = hashlib.sha256(brought.encode()).hexdigest()[:16]
    file = Path(os.environ.get("TMPDIR", "/tmp")) / f"authority-{name}.pem"  # noqa: S108 (Lambda's only place to write)
    if not file.exists():
        beside = file.with_suffix(f".{os.getpid()}")
        beside.write_text(brought, encoding="utf-8")
        beside.replace(file)
    return file


def application_login() -> tuple[str, str] | None:
    """Name and password of the application role, for the migration that sets them; None where `DATABASE_URL` is set.

    Raises:
        AwsError: the secret cannot be read.
    """
    arn = os.environ.get("APP_SECRET_ARN")
    if not arn or os.environ.get("DATABASE_URL"):
        return None
    secret = secret_json(arn)
    return secret["username"], secret["password"]


def secret_json(arn: str) -> dict[str, Any]:
    """The present value of a secret whose text is a JSON object, from the extension, which caches it.

    Raises:
        ServiceRefused: the extension, or Secrets Manager behind it, answered with an error.
        ServiceUnreachable: the extension did not answer.
    """
    import urllib.error  # noqa: PLC0415 (40 ms that only a new connection of a deployed function pays)
    import urllib.request  # noqa: PLC0415

    request = urllib.request.Request(  # noqa: S310 (a constant http URL on localhost)
        _extension() + quote(arn, safe=""),
        headers={"X-Aws-Parameters-Secrets-Token": required("AWS_SESSION_TOKEN")},
    )
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310
            secret: dict[str, Any] = json.loads(json.load(answer)["SecretString"])
    except urllib.error.HTTPError as refused:
        raise ServiceRefused("secretsmanager", "GetSecretValue", refused.code) from refused
    except OSError as failure:
        raise ServiceUnreachable("secretsmanager") from failure
    return secret
