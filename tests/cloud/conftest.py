"""The local cloud's own stack, running."""

from collections.abc import Iterator

import httpx
import pytest

from localcloud.host.logline import LogLine  # noqa: TC001 - annotates a local variable
from localcloud.services.cloud import CloudSettings, running_cloud
from support.cloud.engine import ENGINE_TEMPLATE, Engine


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Run the engine's stack, with two processes a function at most."""
    lines: list[LogLine] = []
    settings = CloudSettings(
        template=ENGINE_TEMPLATE,
        data_dir=tmp_path_factory.mktemp("cloud"),
        app_database_url="postgresql://app",
        owner_database_url="postgresql://owner",
        port=0,
        log=lines.append,
        reload=False,
        schedules=False,
        max_processes=2,
    )
    with running_cloud(settings) as cloud, httpx.Client(base_url=cloud.api_url, timeout=60) as http:
        yield Engine(cloud, http, lines)
