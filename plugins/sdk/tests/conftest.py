"""A plugin as `assay plugins new` writes it, for tests that need one."""

import sys
from collections.abc import Iterator
from importlib import import_module
from types import SimpleNamespace

import pytest

from assay_sdk import egress, scaffold


@pytest.fixture(scope="session")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """Its folder, and its modules by name."""
    folder = scaffold.write("acme", tmp_path_factory.mktemp("new"))
    sys.path.insert(0, str(folder / "src"))
    modules = {name: import_module(f"assay_acme.{name}") for name in ("service", "source", "destination", "simulator")}
    yield SimpleNamespace(folder=folder, **modules)
    sys.path.remove(str(folder / "src"))
    for name in [name for name in sys.modules if name.startswith("assay_acme")]:
        del sys.modules[name]


@pytest.fixture
def loopback() -> Iterator[None]:
    """This machine may be called."""
    egress.configure(["127.0.0.1"])
    yield
    egress.configure([])
