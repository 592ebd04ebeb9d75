"""What a package offers by name: listed once, imported when it is asked for."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = ("clustering", "emulation", "evaluation", "models", "pipeline")


def typed_names(path: Path) -> set[str]:
    """Names that type checkers see imported in a file, and no one else."""
    guarded = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.If)]
    imports = [node for block in guarded for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name for node in imports for alias in node.names}


@pytest.mark.parametrize("name", PACKAGES)
def test_every_name_is_there_and_listed_alike(name: str) -> None:
    package = importlib.import_module(f"galaxy_explorer.{name}")
    assert set(package.__all__) == set(dir(package)) == typed_names(Path(package.__file__))
    for offered in package.__all__:
        assert getattr(package, offered).__class__ is not type(sys)
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = package.nothing_such


def test_packages_cost_nothing_until_a_name_is_asked_for() -> None:
    imports = "; ".join(f"import galaxy_explorer.{name}" for name in PACKAGES)
    heavy = "{'torch', 'sklearn', 'numpy', 'scipy', 'panel'}"
    code = f"import sys; {imports}; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
