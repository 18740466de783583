"""What tests of the engine hold in their hands, and the stack they run."""

from dataclasses import dataclass
from pathlib import Path

import httpx

from localcloud.cloud import RunningCloud
from localcloud.logline import LogLine

ENGINE_TEMPLATE = Path(__file__).parent / "engine_stack" / "template.yaml"


@dataclass(frozen=True)
class Engine:
    """A running cloud, its HTTP API and what it logged."""

    cloud: RunningCloud
    http: httpx.Client
    lines: list[LogLine]
