"""The policy of a POST to a bucket, enforced as S3 does: its time, every condition, and no field beyond them.

The rules: docs.aws.amazon.com/AmazonS3/latest/API, "POST Policy".
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from localcloud.storage.errors import S3Error, access_denied

_NOT_IN_POLICIES: Final = frozenset({"policy", "file", "x-amz-signature"})
_IGNORED: Final = "x-ignore-"


@dataclass(frozen=True)
class Lengths:
    """The allowed lengths of the file, in bytes."""

    least: int
    most: int

    def check(self, length: int) -> None:
        """Refuse a file of another length. Raises S3Error."""
        if length > self.most:
            reason = "Your proposed upload exceeds the maximum allowed size"
            raise S3Error(400, "EntityTooLarge", reason, {"ProposedSize": length, "MaxSizeAllowed": self.most})
        if length < self.least:
            reason = "Your proposed upload is smaller than the minimum allowed size"
            raise S3Error(400, "EntityTooSmall", reason, {"ProposedSize": length, "MinSizeAllowed": self.least})


def enforce(encoded: str, fields: Mapping[str, str], bucket: str, now: datetime) -> Lengths | None:
    """Hold a form against its policy; returns the allowed lengths, if the policy names any.

    Args:
        encoded: the policy, in base64.
        fields: of the form, without the file, by name as sent.
        bucket: to which it is posted.
        now: decides whether the policy has expired.

    Raises:
        S3Error: 400 for no policy at all, 403 for a form that it does not allow.
    """
    policy = _decoded(encoded)
    if now > _expiration(policy):
        raise access_denied("Invalid according to Policy: Policy expired.")
    given = {**{name.lower(): value for name, value in fields.items()}, "bucket": bucket}
    covered, lengths = set(), None
    for condition in policy["conditions"]:
        operator, name, wanted = _parts(condition)
        if operator == "content-length-range":
            lengths = Lengths(int(name), int(wanted))
            continue
        covered.add(name.lower())
        value = given.get(name.lower())
        holds = value is not None and (value == wanted if operator == "eq" else value.startswith(wanted))
        if not holds:
            shown = json.dumps([operator, f"${name}", wanted])
            raise access_denied(f"Invalid according to Policy: Policy Condition failed: {shown}")
    extra = sorted(
        name
        for name in given
        if name not in covered | _NOT_IN_POLICIES and name != "bucket" and not name.startswith(_IGNORED)
    )
    if extra:
        raise access_denied(f"Invalid according to Policy: Extra input fields: {', '.join(extra)}")
    return lengths


def _decoded(encoded: str) -> Mapping[str, Any]:
    try:
        policy = json.loads(base64.b64decode(encoded, validate=True))
    except ValueError as error:
        raise S3Error(400, "InvalidPolicyDocument", "Invalid Policy: Invalid JSON.") from error
    if not isinstance(policy, dict) or not isinstance(policy.get("conditions"), list):
        raise S3Error(400, "InvalidPolicyDocument", "Invalid Policy: Policy missing conditions.")
    return policy


def _expiration(policy: Mapping[str, Any]) -> datetime:
    try:
        at = datetime.fromisoformat(policy["expiration"])
    except (KeyError, TypeError, ValueError) as error:
        reason = "Invalid Policy: Policy missing expiration."
        raise S3Error(400, "InvalidPolicyDocument", reason) from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _parts(condition: object) -> tuple[str, str, str]:
    """Operator, name (or least length) and value (or most length) of a condition."""
    match condition:
        case dict() if len(condition) == 1:
            [(name, wanted)] = condition.items()
            return "eq", str(name), str(wanted)
        case ["eq" | "starts-with" as operator, str(name), str(wanted)] if name.startswith("$"):
            return operator, name[1:], wanted
        case ["content-length-range", int(least), int(most)]:
            return "content-length-range", str(least), str(most)
    raise S3Error(400, "InvalidPolicyDocument", "Invalid Policy: Invalid Condition.")
