"""GuardDuty Malware Protection for S3: scans what is uploaded, tags it, and reports on the account's default bus.

It knows one threat, the EICAR test file, and cannot look into an encrypted PDF, which it skips as GuardDuty does.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from localcloud.host.logline import Log, LogLine
from localcloud.messaging.event_bus import BusEvent
from localcloud.stack.buckets import ScanPlan
from localcloud.storage.objects import Objects, Stored

TAG: Final = "GuardDutyMalwareScanStatus"
CLEAN: Final = "NO_THREATS_FOUND"
# In two parts, so that no scanner takes this file for the test file.
EICAR: Final = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR" + b"-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
_DELAY_SECONDS: Final = 0.2

type Emit = Callable[[Sequence[BusEvent]], object]


class Scanner:
    """Scans objects shortly after they came. Belongs to the event loop's thread, but for `hold` and `release`."""

    def __init__(self, plans: Sequence[ScanPlan], buckets: Mapping[str, Objects], emit: Emit, log: Log) -> None:
        self._plans = plans
        self._buckets = buckets
        self._emit = emit
        self._log = log
        self._loop: asyncio.AbstractEventLoop | None = None
        self._free = asyncio.Event()
        self._free.set()
        self._scans: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Scan what an earlier process took and did not scan."""
        self._loop = asyncio.get_running_loop()
        for plan in self._plans:
            objects = self._buckets[plan.bucket]
            for stored in filter(None, map(objects.find, list(objects.keys()))):
                if TAG not in stored.tags:
                    self.came(plan.bucket, stored)

    def came(self, bucket: str, stored: Stored) -> None:
        """Scan an object in a moment, if a plan covers it."""
        for plan in self._plans:
            if plan.bucket == bucket and stored.key.startswith(plan.prefixes):
                scan = asyncio.create_task(self._scan(plan, stored))
                self._scans.add(scan)
                scan.add_done_callback(self._scans.discard)

    def hold(self) -> None:
        """Keep what comes from being scanned, until `release`; for tests, from any thread."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._free.clear)

    def release(self) -> None:
        """Scan what was held back."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._free.set)

    async def stop(self) -> None:
        """End; what was not scanned is scanned by the next process."""
        for scan in self._scans:
            scan.cancel()
        await asyncio.gather(*self._scans, return_exceptions=True)

    async def _scan(self, plan: ScanPlan, stored: Stored) -> None:
        await asyncio.sleep(_DELAY_SECONDS)
        await self._free.wait()
        objects = self._buckets[plan.bucket]
        if objects.find(stored.key) is None:
            return  # deleted meanwhile
        content = await asyncio.to_thread(objects.content, stored.key)
        status, result, threats = _found(content)
        if plan.tags:
            objects.tag(stored.key, {TAG: result})
        self._log(LogLine("cloud", f"guardduty scanned a file: {result}"))
        self._emit([_event(plan, stored, status, result, threats)])


def _found(content: bytes) -> tuple[str, str, list[dict[str, str]] | None]:
    """GuardDuty's scan status, result status and threats."""
    if EICAR in content:
        return "COMPLETED", "THREATS_FOUND", [{"name": "EICAR-Test-File (not a virus)"}]
    if content.startswith(b"%PDF-") and b"/Encrypt" in content:
        return "SKIPPED", "UNSUPPORTED", None
    return "COMPLETED", CLEAN, None


def _event(plan: ScanPlan, stored: Stored, status: str, result: str, threats: list[dict[str, str]] | None) -> BusEvent:
    detail = {
        "schemaVersion": "1.0",
        "scanStatus": status,
        "resourceType": "S3_OBJECT",
        "s3ObjectDetails": {
            "bucketName": plan.bucket,
            "objectKey": stored.key,
            "eTag": stored.etag,
            "versionId": "",
            "s3Throttled": False,
        },
        "scanResultDetails": {"scanResultStatus": result, "threats": threats},
    }
    return BusEvent("aws.guardduty", "GuardDuty Malware Protection Object Scan Result", detail, resources=(plan.arn,))
