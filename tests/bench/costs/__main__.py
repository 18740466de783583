"""Writes README.md's table of costs."""

from bench.costs.table import README, with_table

README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
