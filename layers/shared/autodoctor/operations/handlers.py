"""The routes that the functions of this checkout serve, read from their modules without calling any."""

import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from os import environ
from pathlib import Path
from types import ModuleType
from typing import Final

from autodoctor.settings import SettingMissing, session_base_url
from autodoctor.web.http import Route, Router

FUNCTIONS: Final = Path(__file__).parents[4] / "functions"
_ENVIRONMENT: Final = {
    "AWS_DEFAULT_REGION": "eu-central-1",  # Lambda always gives one
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere",  # never connected to
}


def routers() -> Mapping[str, Router]:
    """Return the router of every function that has one, by its folder."""
    with _environment() as settings:
        modules = {file.parent.name: _import(file, settings) for file in sorted(FUNCTIONS.glob("*/app.py"))}
    return {folder: module.router for folder, module in modules.items() if hasattr(module, "router")}


def routes() -> Mapping[str, Route]:
    """Return every route of every function, by its key."""
    return {key: route for router in routers().values() for key, route in router.routes.items()}


@contextmanager
def _environment() -> Iterator[MutableMapping[str, str]]:
    """Give the environment to be changed, and restore it afterwards."""
    before = dict(environ)
    environ.update(_ENVIRONMENT)
    try:
        yield environ
    finally:
        environ.clear()
        environ.update(before)
        session_base_url.cache_clear()


def _import(file: Path, settings: MutableMapping[str, str]) -> ModuleType:
    """Import a handler's module, with a made-up value for every setting that it requires."""
    while True:
        try:
            return _load(file)
        except SettingMissing as missing:
            settings[missing.name] = f"https://{missing.name.lower().replace('_', '-')}.example"


def _load(file: Path) -> ModuleType:
    """Import a handler under a unique name, with the modules of its folder, as Lambda would find them."""
    beside = {each.stem: _module(each, each.stem) for each in file.parent.glob("*.py") if each != file}
    hidden = {name: sys.modules.pop(name, None) for name in beside}
    try:
        sys.modules.update(beside)
        for module in beside.values():
            _run(module)
        handler = _module(file, f"handler_{file.parent.name}")
        _run(handler)
        return handler
    finally:
        for name in beside:
            del sys.modules[name]
        sys.modules.update({name: module for name, module in hidden.items() if module is not None})


def _module(file: Path, name: str) -> ModuleType:
    spec = spec_from_file_location(name, file)
    if spec is None:
        raise ImportError(f"{file} is no module")
    return module_from_spec(spec)


def _run(module: ModuleType) -> None:
    spec = module.__spec__
    if spec is None or spec.loader is None:
        raise ImportError(f"{module} cannot be run")
    spec.loader.exec_module(module)
