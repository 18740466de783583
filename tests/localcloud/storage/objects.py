"""The objects of the buckets: files in the data folder that their owner alone may read, each with its facts beside it.

files/BUCKET/KEY        the bytes, the key percent-encoded
files/BUCKET/KEY.facts  content type, checksum, tags and so on, as JSON
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from localcloud.host.private_file import private

FOLDER: Final = "files"
_FACTS: Final = ".facts"


@dataclass(frozen=True)
class Stored:
    """What is known of an object; `etag` is the MD5 of its bytes, `sha256` in base64."""

    key: str
    content_type: str
    size: int
    etag: str
    sha256: str
    stored_at: str
    tags: Mapping[str, str]


class Objects:
    """The objects of one bucket. A replaced object loses its tags, as in S3."""

    def __init__(self, data_dir: Path, bucket: str) -> None:
        self._folder = data_dir / FOLDER / bucket

    def put(self, stored: Stored, arrived: Path) -> None:
        """Store an object whose bytes have arrived in a file of the same disk, which is moved."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        arrived.replace(self._bytes(stored.key))
        self._write(stored)

    def find(self, key: str) -> Stored | None:
        """The facts of an object, if there is one."""
        try:
            return Stored(**json.loads(self._facts(key).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def content(self, key: str) -> bytes:
        """The bytes of an object that there is."""
        return self._bytes(key).read_bytes()

    def tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Add tags to an object; one that is gone meanwhile gets none."""
        if (stored := self.find(key)) is not None:
            self._write(replace(stored, tags={**stored.tags, **tags}))

    def delete(self, key: str) -> None:
        """Delete an object; without one, nothing."""
        self._facts(key).unlink(missing_ok=True)
        self._bytes(key).unlink(missing_ok=True)

    def keys(self) -> Iterator[str]:
        """The keys of all objects."""
        for file in self._folder.glob(f"*{_FACTS}"):
            yield unquote(file.name.removesuffix(_FACTS))

    def scratch(self) -> Path:
        """A new name on the same disk, for bytes that are arriving."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self._folder / f".{os.urandom(8).hex()}"

    def _write(self, stored: Stored) -> None:
        with open(self._facts(stored.key), "w", encoding="utf-8", opener=private) as file:
            json.dump(asdict(stored), file)

    def _bytes(self, key: str) -> Path:
        return self._folder / quote(key, safe="")

    def _facts(self, key: str) -> Path:
        return self._folder / (quote(key, safe="") + _FACTS)


def forget_objects(data_dir: Path) -> None:
    """Delete every object of every bucket, also while a server runs."""
    shutil.rmtree(data_dir / FOLDER, ignore_errors=True)
