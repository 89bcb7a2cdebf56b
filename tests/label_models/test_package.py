from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import teachkit.label_models as package
from teachkit import registry


def test_every_public_name_is_there() -> None:
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Snorkel'"):
        _ = package.Snorkel


def test_the_versions_cost_no_import_of_numba() -> None:
    code = "import sys; from teachkit.label_models import ALGORITHMS; print('numba' in sys.modules, sorted(ALGORITHMS))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.startswith("False ['") and "'dawid_skene'" in found


@pytest.mark.parametrize("name", package.ALGORITHMS)
def test_the_compiler_knows_the_parameters_of_each_algorithm(name: str) -> None:
    signature = inspect.signature(registry.load("label_model", name))
    assert package.ALGORITHMS[name].parameters == tuple(p for p in signature.parameters if p != "threads")
