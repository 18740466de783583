"""The relation of a write-ahead log record, read from the output of pg_waldump."""

import pytest

from bench.database.wal_records import LogRecord, bytes_of, records

PRINTED = """\
rmgr: Heap        len (rec/tot):     54/  8150, tx:        731, lsn: 0/0153B2C8, prev 0/0153B290, desc: INSERT off: 3
\tblkref #0: rel 1663/16384/16401 fork main blk 0 (FPW); hole: offset: 52, length: 96
rmgr: Btree       len (rec/tot):     73/    73, tx:        731, lsn: 0/0153D2A0, prev 0/0153B2C8, desc: INSERT_LEAF
\tblkref #0: rel 1663/16384/16405 fork main blk 1
rmgr: Transaction len (rec/tot):     34/    34, tx:        731, lsn: 0/0153D2F0, prev 0/0153D2A0, desc: COMMIT 2026
"""


def test_each_record_names_its_relation_and_its_length_without_images() -> None:
    assert records(PRINTED) == [
        LogRecord("Heap INSERT", "16401", 56, 8096),
        LogRecord("Btree INSERT_LEAF", "16405", 80, 0),
        LogRecord("Transaction COMMIT", "", 40, 0),
    ]


def test_bytes_are_added_up_by_relation() -> None:
    assert bytes_of({"16401": "outbox", "16405": "outbox_pkey"}, records(PRINTED)) == {
        "outbox": 56,
        "outbox_pkey": 80,
        "": 40,
    }


def test_an_empty_piece_has_no_records() -> None:
    assert records("") == []


def test_what_is_no_record_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="rmgr: nonsense"):
        records("rmgr: nonsense")
