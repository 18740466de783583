"""A worker's surroundings: import path and environment variables, as on Lambda.

Neither the repository nor its virtual environment is on the path. A function sees its own folder, its
layers, the packages that a source layer's requirements.txt pins (linked from the installed ones; a built layer has
its own), and those in AWS's image: the runtime client and boto3.
"""

import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Self

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from localcloud.stack.cloudformation import ACCOUNT, QUEUES_URL, REGION
from localcloud.stack.template import FunctionSpec

RUNTIME_CLIENT = "awslambdaric"
SDK = "boto3"
_LAUNCHER = Path(__file__).with_name("launcher.py")
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")
_BUCKET_URL = re.compile(rf"https://([a-z0-9-]+)\.s3\.{REGION}\.amazonaws\.com")
_OWNER_SECRET = "MigrationSecretArn"  # noqa: S105 - the name of a parameter
_SECRET_VARIABLE = "DATABASE_SECRET_ARN"  # noqa: S105 - the name of a variable


class MissingPackage(Exception):
    """The requirements of a layer or function name a package that is not installed here."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is in a requirements.txt but not installed; run `uv sync`")
        self.name = name


@dataclass(frozen=True)
class Launch:
    """How to start one worker: command, folder and environment (without the address of its Runtime API).

    A `forked` one may be made by fork of a process that has the same packages (starting.py).
    """

    command: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]
    forked: bool = False

    def with_services(self, variables: Mapping[str, str]) -> Self:
        """Add the addresses and keys of services outside AWS."""
        return replace(self, environment={**self.environment, **variables})

    def with_addresses(self, addresses: Mapping[str, str]) -> Self:
        """Replace the addresses that variables hold."""
        variables = dict(self.environment)
        for address, here in addresses.items():
            variables = {name: value.replace(address, here) for name, value in variables.items()}
        return replace(self, environment=variables)


@dataclass(frozen=True)
class Databases:
    """Connection URLs: the application's role, and the owner's for the function that migrates."""

    app: str
    owner: str

    def for_function(self, spec: FunctionSpec) -> str:
        """Return the owner's URL when the template passes the owner's secret, else the application's."""
        return self.owner if _OWNER_SECRET in spec.references.get(_SECRET_VARIABLE, ()) else self.app


def launch_of(spec: FunctionSpec, databases: Databases, packages: Path, api_url: str = "") -> Launch:
    """Work out how to start workers of `spec`; `packages` is where linked packages are kept.

    `api_url` is where the AWS services of this machine answer; without one, SDKs reach for AWS.
    """
    path = [spec.code]
    if missing := _not_built_in(spec.code):
        path.append(linked_packages(packages, missing))
    built = tuple(layer.packages for layer in spec.layers if layer.built)
    if built:
        path.append(laid_over(packages, built) if len(built) > 1 else built[0])
    for layer in spec.layers:
        if not layer.built:
            path.append(layer.packages)
        if layer.requirements:
            path.append(linked_packages(packages, _required(layer.requirements)))
    path.append(linked_packages(packages, [Requirement(RUNTIME_CLIENT), Requirement(SDK)]))
    environment = {
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        **_lambda_variables(spec),
        **(service_endpoints(api_url) if api_url else {}),
        **{name: local_address(value, api_url) if api_url else value for name, value in spec.environment.items()},
        "DATABASE_URL": databases.for_function(spec),
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        # Lambda's folders are read-only: a process takes the bytecode that was built, or compiles.
        **({"PYTHONDONTWRITEBYTECODE": "1"} if built else {}),
    }
    command = (sys.executable, "-S", "-P", str(_LAUNCHER), spec.handler)
    return Launch(command, spec.code, environment, forked=True)


def _lambda_variables(spec: FunctionSpec) -> dict[str, str]:
    return {
        "AWS_LAMBDA_FUNCTION_NAME": spec.logical_id,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        **({"AWS_LAMBDA_LOG_LEVEL": spec.log_level} if spec.log_level else {}),
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{spec.logical_id}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{spec.runtime}",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        # Lambda always gives credentials; without any, an SDK would look for them on the network.
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "_HANDLER": spec.handler,
        "LAMBDA_TASK_ROOT": str(spec.code),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
    }


def service_endpoints(api_url: str) -> dict[str, str]:
    """The variables that direct every AWS SDK to the services on this machine."""
    return {
        "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": f"{api_url}/_aws/cognito-idp",
        "AWS_ENDPOINT_URL_EVENTBRIDGE": f"{api_url}/_aws/events",
        "AWS_ENDPOINT_URL_S3": f"{api_url}/_aws/s3",
        "AWS_ENDPOINT_URL_LAMBDA": f"{api_url}/_aws/lambda",
        "AWS_ENDPOINT_URL_SESV2": f"{api_url}/_aws/email",
        "AWS_ENDPOINT_URL_SNS": f"{api_url}/_aws/sns",
        "AWS_ENDPOINT_URL_SQS": f"{api_url}/_aws/sqs",
    }


def local_address(value: str, api_url: str) -> str:
    """Replace the template's address of an AWS service by the local one; anything else stays."""
    value = value.replace(QUEUES_URL, f"{api_url}/_aws/sqs/", 1)
    return _BUCKET_URL.sub(rf"{api_url}/_aws/s3/\1", value)


def function_arn(logical_id: str) -> str:
    """The ARN a function has in its context and in the resolved template."""
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{logical_id}"


def _not_built_in(code: Path) -> list[Requirement]:
    """Return the requirements that a function's folder lacks: all of them in the source, none once it is built."""
    requirements = code / "requirements.txt"
    if not requirements.is_file():
        return []
    built_in = {canonicalize_name(each.name) for each in metadata.distributions(path=[str(code)])}
    return [each for each in _required(requirements) if canonicalize_name(each.name) not in built_in]


def _required(requirements: Path) -> list[Requirement]:
    lines = (line.partition("#")[0].strip() for line in requirements.read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def linked_packages(folder: Path, requirements: Iterable[Requirement]) -> Path:
    """Return a folder with links to exactly these installed packages and their dependencies.

    Raises MissingPackage.
    """
    links = dict(_links(tuple(requirements)))
    digest = hashlib.sha256(repr(sorted(links.items())).encode()).hexdigest()[:16]
    target = folder / digest
    if not target.is_dir():
        _link(target, links)
    return target


@cache
def _links(requirements: tuple[Requirement, ...]) -> tuple[tuple[str, Path], ...]:
    """Name and place of what a folder links to. Walking the metadata costs 0.2 s; 70 launches ask for the same few."""
    found: dict[str, metadata.Distribution] = {}
    for requirement in requirements:
        _collect(requirement, found)
    return tuple(
        (name, Path(str(distribution.locate_file(name))))
        for distribution in found.values()
        for name in _top_names(distribution)
    )


def _collect(requirement: Requirement, found: dict[str, metadata.Distribution]) -> None:
    try:
        distribution = metadata.distribution(requirement.name)
    except metadata.PackageNotFoundError as error:
        raise MissingPackage(requirement.name) from error
    key = requirement.name.lower() + str(sorted(requirement.extras))
    if key in found:
        return
    found[key] = distribution
    for line in distribution.requires or []:
        needed = Requirement(line)
        extras = requirement.extras or {""}
        if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
            _collect(needed, found)


def _top_names(distribution: metadata.Distribution) -> set[str]:
    # RECORD itself: `files` makes a path object of every one of botocore's 2,000
    lines = (distribution.read_text("RECORD") or "").splitlines()
    tops = {line.partition(",")[0].strip('"').partition("/")[0] for line in lines if line}
    return {name for name in tops if name not in ("..", "__pycache__") and not name.endswith(".pth")}


def laid_over(folder: Path, layers: tuple[Path, ...]) -> Path:
    """Return a folder with links to the files of all these, as Lambda lays layers into /opt: a later one wins."""
    versions = [(str(layer.resolve()), layer.stat().st_mtime_ns) for layer in layers]
    target = folder / hashlib.sha256(repr(versions).encode()).hexdigest()[:16]
    if not target.is_dir():
        places = [layer.resolve() for layer in layers]
        _link(target, {str(file.relative_to(at)): file for at in places for file in at.rglob("*") if file.is_file()})
    return target


def _link(target: Path, links: Mapping[str, Path]) -> None:
    """Make the folder beside its final place, then move it, so that a second process never sees half of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, ignore_cleanup_errors=True) as scratch:
        complete = Path(scratch) / "packages"
        complete.mkdir()
        for name, source in links.items():
            (complete / name).parent.mkdir(parents=True, exist_ok=True)
            (complete / name).symlink_to(source)
        try:
            complete.rename(target)
        except OSError:
            if not target.is_dir():
                raise
