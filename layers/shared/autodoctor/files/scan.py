"""What S3 and GuardDuty say of a file on the default bus: it came, and what the malware scan found.

Both deliver at least once and in any order. Their events: docs.aws.amazon.com/AmazonS3/latest/userguide,
"EventBridge event message structure", and docs.aws.amazon.com/guardduty/latest/ug, "Monitoring S3 object scans with
Amazon EventBridge". They carry keys, never names; what we log is counts.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, LiteralString

from pydantic import AliasPath, BaseModel, Field

from autodoctor.db import Database
from autodoctor.observability import count, logger

type ScanResult = Literal["NO_THREATS_FOUND", "THREATS_FOUND", "UNSUPPORTED", "ACCESS_DENIED", "FAILED"]

CAME: Final = "Object Created"
SCANNED: Final = "GuardDuty Malware Protection Object Scan Result"
_OURS_TO_MEND: Final = frozenset({"ACCESS_DENIED", "FAILED"})
"""Results that say more of the scan than of the file: somebody should look at the plan and its role."""

# The form is good for a while: a file that was deleted may come once more, and is to be deleted once more.
_CAME: Final[LiteralString] = """
UPDATE attachments SET state = CASE state WHEN 'promised' THEN 'scanning' ELSE state END, removed_at = NULL
 WHERE object_key = %(key)s AND (state = 'promised' OR removed_at IS NOT NULL)
"""
_CLEAN: Final[LiteralString] = """
UPDATE attachments SET state = 'clean' WHERE object_key = %(key)s AND state IN ('promised', 'scanning')
"""
# What the scan cannot look into, such as a PDF with a password, nobody gets either.
_REFUSED: Final[LiteralString] = """
UPDATE attachments SET state = 'refused' WHERE object_key = %(key)s AND state IN ('promised', 'scanning', 'clean')
"""


class _Came(BaseModel):
    key: str = Field(validation_alias=AliasPath("object", "key"))


class _Scanned(BaseModel):
    key: str = Field(validation_alias=AliasPath("s3ObjectDetails", "objectKey"))
    result: ScanResult = Field(validation_alias=AliasPath("scanResultDetails", "scanResultStatus"))


def take_news(database: Database, envelope: Mapping[str, Any]) -> None:
    """Act on one event; a second delivery, and one of a key that is not ours, changes nothing.

    Args:
        envelope: as EventBridge delivers it, detail-type CAME or SCANNED.

    Raises:
        pydantic.ValidationError: it is not shaped as documented.
    """
    if envelope["detail-type"] == CAME:
        came = _Came.model_validate(envelope["detail"])
        database.execute(_CAME, {"key": came.key})
        return
    scanned = _Scanned.model_validate(envelope["detail"])
    clean = scanned.result == "NO_THREATS_FOUND"
    changed = database.execute(_CLEAN if clean else _REFUSED, {"key": scanned.key})
    logger.info("file scanned", extra={"result": scanned.result, "changed": changed})
    count("FilesScanned")
    if not clean:
        count("FilesRefused", changed)
    if scanned.result in _OURS_TO_MEND:
        count("FileScansFailed")
