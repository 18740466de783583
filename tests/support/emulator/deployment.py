"""Deploys what `sam build` wrote on MiniStack: code as zips, secrets, sender, stack."""

import io
import json
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.database.postgres import APP_ROLE, OWNER_ROLE
from support.emulator.adapted import adapted
from support.emulator.ministack import MiniStack
from support.emulator.routes import make_routes
from support.template.deployed_template import Document, expanded_template, transformed_template

STACK = "autodoctor"
BUCKET = "artefacts"
MAIL_FROM = "notifications@workshop.example"
CREATE_SECONDS = 600.0


@dataclass(frozen=True)
class TlsDatabase:
    """A PostgreSQL behind TLS: where it is, its owner's password, and who signs its certificate."""

    host: str
    port: int
    name: str
    owner_password: str
    authority: str


@dataclass(frozen=True)
class Deployed:
    """A created stack: its outputs, its resources, and the ARNs of its functions, by logical id."""

    outputs: Mapping[str, str]
    resources: Mapping[str, str]
    functions: Mapping[str, str]


def deploy(emulator: MiniStack, built: Path, database: TlsDatabase) -> Deployed:
    """Create the stack; its custom resource makes the schema. Fails with the reasons of the stack's events."""
    emulator.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    template = transformed_template(expanded_template(), lambda name: _uploaded(emulator, built / name))
    document = adapted(template, emulator.origin)
    emulator.client("s3").put_object(Bucket=BUCKET, Key="template.json", Body=json.dumps(document).encode())
    emulator.client("sesv2").create_email_identity(EmailIdentity=MAIL_FROM.partition("@")[2])
    cloudformation = emulator.client("cloudformation")
    cloudformation.create_stack(
        StackName=STACK,
        TemplateURL=f"{emulator.origin}/{BUCKET}/template.json",
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value} for name, value in _parameters(emulator, database).items()
        ],
    )
    outputs = {each["OutputKey"]: each["OutputValue"] for each in _wait(cloudformation).get("Outputs", [])}
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=STACK)
    resources = {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for page in pages
        for each in page["StackResourceSummaries"]
    }
    functions = {
        each["FunctionName"]: each["FunctionArn"]
        for page in emulator.client("lambda").get_paginator("list_functions").paginate()
        for each in page["Functions"]
    }
    arns = {name: functions[each] for name, each in resources.items() if each in functions}
    pool = (outputs["UserPoolId"], outputs["UserPoolClientId"])
    body = template["Resources"]["Api"]["Properties"]["Body"]
    make_routes(emulator.client("apigatewayv2"), resources["Api"], body, arns, pool)
    return Deployed(outputs, resources, arns)


def _parameters(emulator: MiniStack, database: TlsDatabase) -> dict[str, str]:
    def secret(name: str, content: Document) -> str:
        made = emulator.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(content))
        arn: str = made["ARN"]
        return arn

    trusted = {"certificateAuthority": database.authority}
    extension = emulator.client("lambda").publish_layer_version(
        LayerName="secrets-extension", Content={"ZipFile": _zip({"README": b"tests/support/emulator"})}
    )
    return {
        "DatabaseHost": database.host,
        "DatabasePort": str(database.port),
        "DatabaseName": database.name,
        "AppSecretArn": secret("app", {"username": APP_ROLE, "password": "p@ss word/?", **trusted}),
        "MigrationSecretArn": secret("owner", {"username": OWNER_ROLE, "password": database.owner_password, **trusted}),
        "StripeSecretArn": secret("stripe", {"apiKey": "sk_test_1", "webhookSecrets": []}),
        "SecretsExtensionLayerArn": extension["LayerVersionArn"],
        "MailFrom": MAIL_FROM,
        "ReserveConcurrency": "no",
        "ConsoleUrl": "https://app.workshop.example",
    }


def _uploaded(emulator: MiniStack, folder: Path) -> str:
    """Put the code that `sam build` wrote to a folder into the bucket, and return its address."""
    files = {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}
    emulator.client("s3").put_object(Bucket=BUCKET, Key=f"{folder.name}.zip", Body=_zip(files))
    return f"s3://{BUCKET}/{folder.name}.zip"


def _zip(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _wait(cloudformation: Any) -> Any:  # noqa: ANN401 (boto3's)
    deadline = time.monotonic() + CREATE_SECONDS
    while time.monotonic() < deadline:
        [described] = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
        if described["StackStatus"] == "CREATE_COMPLETE":
            return described
        if described["StackStatus"] != "CREATE_IN_PROGRESS":
            break
        time.sleep(0.5)
    events = cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
    failed = [each for each in events if "FAILED" in each["ResourceStatus"]]
    reasons = [f"{each['LogicalResourceId']}: {each.get('ResourceStatusReason', '')}" for each in failed]
    raise AssertionError("\n".join([described["StackStatus"], *reasons]))
