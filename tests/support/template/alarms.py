"""What the template's alarms watch: one metric each, or several that an expression combines."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Watch:
    """One metric that an alarm, named by its logical id, watches."""

    alarm: str
    namespace: str
    metric: str
    dimensions: Mapping[str, Any]


def watches(alarms: Mapping[str, Mapping[str, Any]]) -> Iterator[Watch]:
    """Yield every metric that the alarms watch."""
    for name, alarm in alarms.items():
        metrics = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each]
        for metric in metrics or [alarm]:
            dimensions = {each["Name"]: each["Value"] for each in metric.get("Dimensions", [])}
            yield Watch(name, metric["Namespace"], metric["MetricName"], dimensions)


def watched(alarms: Mapping[str, Mapping[str, Any]], namespace: str, metric: str) -> list[Mapping[str, Any]]:
    """Return the dimensions under which one metric is watched."""
    return [each.dimensions for each in watches(alarms) if (each.namespace, each.metric) == (namespace, metric)]
