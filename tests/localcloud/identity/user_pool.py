"""Cognito's user pool on this machine: the groups that users were put into. It knows every user, as the issuer does."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from aiohttp import web

from localcloud.host.json_lines import JsonLines
from localcloud.services.aws_api import AwsError, JsonService, Parameters, Protocol, text

PREFIX: Final = "/_aws/cognito-idp"
_FILE: Final = "user-groups.jsonl"
_GROUPS: Final = ("admins", "customers", "mechanics")
_PROTOCOL: Final = Protocol("cognito-idp", "AWSCognitoIdentityProviderService", "1.1")


@dataclass(frozen=True)
class Membership:
    """A user, by their `sub`, and a group of theirs."""

    sub: str
    group: str


def memberships(data_dir: Path) -> JsonLines[Membership]:
    """The groups that a data folder keeps, beside those that its people have from the start."""
    return JsonLines(data_dir / _FILE, Membership)


class UserPool:
    """Cognito below `PREFIX`; who signs in afterwards has the groups."""

    def __init__(self, data_dir: Path) -> None:
        self._kept = memberships(data_dir)
        self._service = JsonService(_PROTOCOL, {"AdminAddUserToGroup": self._add})

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request as Cognito would."""
        return await self._service.handle(request)

    def added(self) -> dict[str, list[str]]:
        """The groups of each user who was put into one, by `sub`, in the order of their coming."""
        found: dict[str, list[str]] = {}
        for each in self._kept.all():
            found.setdefault(each.sub, []).append(each.group)
        return found

    async def _add(self, parameters: Parameters) -> Mapping[str, object]:
        sub, group = text(parameters, "Username"), text(parameters, "GroupName")
        text(parameters, "UserPoolId")
        if not _is_id(sub):
            raise AwsError("UserNotFoundException", "User does not exist.")
        if group not in _GROUPS:
            raise AwsError("ResourceNotFoundException", "Group not found.")
        if group not in self.added().get(sub, ()):
            self._kept.add(Membership(sub, group))
        return {}


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False
