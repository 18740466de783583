"""Watches the code of functions and layers and lets go of processes that run what has changed."""

from collections.abc import Mapping
from pathlib import Path

from watchfiles import PythonFilter, awatch

from localcloud.logline import Log, LogLine
from localcloud.pools import FunctionPool

_SETTLE_MILLISECONDS = 200


async def reload_on_change(pools: Mapping[str, FunctionPool], log: Log) -> None:
    """Refresh the pools whose code changes, until cancelled."""
    watched = {name: _folders(pool) for name, pool in pools.items()}
    folders = sorted({folder for own in watched.values() for folder in own})
    async for changes in awatch(
        *folders,
        watch_filter=PythonFilter(extra_extensions=(".sql", ".json", ".txt")),
        debounce=_SETTLE_MILLISECONDS,
        step=_SETTLE_MILLISECONDS // 4,
        recursive=True,
    ):
        changed = [Path(path) for _, path in changes]
        for name, own in watched.items():
            if any(path.is_relative_to(folder) for path in changed for folder in own):
                pools[name].refresh()
        names = ", ".join(sorted({path.name for path in changed}))
        log(LogLine("cloud", f"reloaded after a change of {names}"))


def _folders(pool: FunctionPool) -> tuple[Path, ...]:
    code = [pool.spec.code, *(layer.packages for layer in pool.spec.layers)]
    return tuple(folder.resolve() for folder in code if folder.is_dir())
