"""What every room may use: files, progress, caches, resampling, tables.

And names of a package that are imported when they are first asked for: its `__init__` lists where
they are; whoever imports the package pays for none of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazy(
    package: str, modules: Mapping[str, Sequence[str]], *, also: Sequence[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package.

    modules: module below the package ("store") -> names that it defines. also: names that the
    package defines itself.
    """
    where = {name: module for module, names in modules.items() for name in names}

    def getattribute(name: str) -> Any:
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{where[name]}"), name)
        setattr(sys.modules[package], name, value)  # found without this from now on
        return value

    def listed() -> list[str]:
        return sorted([*where, *also])

    return getattribute, listed
