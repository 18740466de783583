"""What each consumer of a queue has done once a consultation has been walked: nobody learns it otherwise."""

from collections.abc import Mapping
from typing import Any, Final

WRITTEN: Final[Mapping[str, str]] = {
    "BroadcastFunction": "SELECT count(*) FROM feed WHERE sent_at IS NOT NULL",
    "MailFeedbackFunction": "SELECT count(*) FROM mail_suppressions",
    "NotifyFunction": "SELECT count(*) FROM mail_deliveries WHERE state = 'sent'",
    "ScansFunction": "SELECT count(*) FROM attachments WHERE state = 'clean'",
    "SettleFunction": "SELECT count(*) FROM settlements",
}
"""Rows that only this consumer writes, counted by the owner."""

HEARD: Final[Mapping[str, str]] = {"DeliverFunction": "The mechanic ended the consultation."}
"""Words in a room that only this consumer pushes there."""

UNSEEN: Final[Mapping[str, str]] = {
    "MediaFunction": "MiniStack has no Chime whose meetings it could hear of or close",
    "PushFunction": "nobody here has a browser whose push service it could call",
}
"""Consumers of which the walk sees nothing, each with the reason."""


def consumers(resources: Mapping[str, Any]) -> set[str]:
    """Return the functions among the resources of the template that read a queue."""
    return {
        name
        for name, each in resources.items()
        if each["Type"] == "AWS::Serverless::Function"
        and any(event["Type"] == "SQS" for event in each["Properties"].get("Events", {}).values())
    }


def scanned(bucket: str, key: str) -> list[dict[str, Any]]:
    """Return the events of S3 and GuardDuty for a file that has come and is clean."""
    came = {"version": "0", "bucket": {"name": bucket}, "object": {"key": key, "size": 1}}
    seen = {
        "schemaVersion": "1.0",
        "scanStatus": "COMPLETED",
        "s3ObjectDetails": {"bucketName": bucket, "objectKey": key, "s3Throttled": False},
        "scanResultDetails": {"scanResultStatus": "NO_THREATS_FOUND", "threats": None},
    }
    return [
        {"source": "aws.s3", "detail-type": "Object Created", "detail": came},
        {
            "source": "aws.guardduty",
            "detail-type": "GuardDuty Malware Protection Object Scan Result",
            "detail": seen,
        },
    ]
