"""The analytics as CSV: one number a line, so that sections of different columns fit into one file."""

from collections.abc import Iterator
from typing import Final

from autodoctor.monitoring.analytics import Analytics
from autodoctor.web import cells
from autodoctor.web.formats import chosen as chosen_format
from autodoctor.web.http import Content

_COLUMNS: Final = (
    *("section", "period_start", "funding", "plan", "session_type", "mechanic_id", "mechanic_name"),
    *("workshop_id", "workshop_name", "hour", "stage", "measure", "value"),
)
_SECTIONS: Final = (*("created", "durations", "mechanics", "workshops", "queue", "queue_by_hour", "stages", "funnel"),)

type Line = dict[str, object]


def to_csv(report: Analytics) -> str:
    """The report as CSV, with a heading; a measure that is null has no line."""
    return cells.to_csv(_COLUMNS, _lines(report))


def as_content(report: Analytics) -> Content:
    """The report as a file to keep."""
    name = f"analytics-{report.since:%Y-%m-%d}-{report.until:%Y-%m-%d}-{report.bucket}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Content(to_csv(report), "text/csv; charset=utf-8", headers=headers)


def wants_csv(chosen: str | None, accept: str | None) -> bool:
    """Whether `format` of the query says csv or, where it is absent, the header Accept asks for text/csv first.

    Raises:
        Unprocessable: a format that is neither csv nor json.
    """
    return chosen_format(chosen, accept, ("json", "csv")) == "csv"


def _lines(report: Analytics) -> Iterator[Line]:
    document = report.model_dump(mode="json")
    for section in _SECTIONS:
        for row in document[section]:
            about = {name: value for name, value in row.items() if name in _COLUMNS and name != "measure"}
            prefix = f"{row['measure']}_" if "measure" in row else ""
            for name, value in row.items():
                if name not in _COLUMNS and value is not None:
                    yield {"section": section, **about, "measure": prefix + name, "value": value}
