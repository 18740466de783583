"""Watches the code of functions and layers, and replaces the processes whose code has changed.

A changed template only causes a message: routes, schedules and limits are read at the start.
"""

from collections.abc import Mapping
from pathlib import Path

from watchfiles import PythonFilter, awatch

from localcloud.compute.pools import FunctionPool
from localcloud.host.logline import Log, LogLine

_SETTLE_MILLISECONDS = 200
_READ_AT_START = (".sql", ".json", ".txt", ".html", ".js", ".css", ".svg", ".md")


async def reload_on_change(pools: Mapping[str, FunctionPool], template: Path, log: Log) -> None:
    """Refresh the pools whose code changes, until cancelled. Raises OSError when files cannot be watched."""
    watched = {name: _folders(pool) for name, pool in pools.items()}
    template = _absolute(template)
    folders = sorted({folder for own in watched.values() for folder in own})
    async for changes in awatch(
        *folders,
        template,
        watch_filter=PythonFilter(extra_extensions=(*_READ_AT_START, template.suffix)),
        debounce=_SETTLE_MILLISECONDS,
        step=_SETTLE_MILLISECONDS // 4,
        recursive=True,
    ):
        changed = [Path(path) for _, path in changes]
        if template in changed:
            log(LogLine("cloud", f"{template.name} changed: start again to apply it"))
        for name, own in watched.items():
            if any(path.is_relative_to(folder) for path in changed for folder in own):
                pools[name].refresh()
        code = sorted({path.name for path in changed if path != template})
        if code:
            log(LogLine("cloud", f"reloaded after a change of {', '.join(code)}"))


def _absolute(path: Path) -> Path:
    return path.resolve()


def _folders(pool: FunctionPool) -> tuple[Path, ...]:
    code = [pool.spec.code, *(layer.packages for layer in pool.spec.layers)]
    return tuple(folder.resolve() for folder in code if folder.is_dir())
