"""Random models, for tests of the language."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def strategies() -> ModuleType:
    spec = importlib.util.spec_from_file_location("model_strategies", Path(__file__).with_name("strategies.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["model_strategies"] = module
    spec.loader.exec_module(module)
    return module
