"""Loading never executes, and no error is swallowed: what ruff does not see.

What it does see (pickle and the like, torch.load, eval, exec, print, a blind except) is in
pyproject.toml; the test of its rules below guards against one that is switched off.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_architecture import ROOT, SOURCES, relative, tree_of

WIDE = {"Exception", "BaseException"}


def banned(node: ast.AST) -> bool:
    """Whether a node unpickles arrays, hides every error, or makes code out of text."""
    match node:
        case ast.keyword(arg="allow_pickle", value=value):
            return not (isinstance(value, ast.Constant) and value.value is False)
        case ast.Call(func=ast.Name(id="suppress") | ast.Attribute(attr="suppress"), args=args):
            return any(isinstance(argument, ast.Name) and argument.id in WIDE for argument in args)
        case ast.Call(func=ast.Name(id="__import__" | "compile")):
            return True
    return False


def violations(tree: ast.Module) -> Iterator[str]:
    return (f"{node.lineno}: {ast.unparse(node)}" for node in ast.walk(tree) if banned(node))


def test_nothing_runs_foreign_code_or_hides_errors() -> None:
    found = {relative(path): list(violations(tree_of(path))) for path in SOURCES}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "code",
    [
        "numpy.load(path, allow_pickle=True)",
        "numpy.load(path, allow_pickle=flag)",
        "with contextlib.suppress(Exception):\n    f()",
        "__import__('os')",
        "compile(text, name, 'exec')",
    ],
)
def test_the_check_sees_what_it_forbids(code: str) -> None:
    assert list(violations(ast.parse(code)))


@pytest.mark.parametrize("code", ["model.eval()", "load(p, allow_pickle=False)", "re.compile(p)"])
def test_the_check_lets_the_innocent_through(code: str) -> None:
    assert not list(violations(ast.parse(code)))


FORBIDDEN = [
    ("import pickle\n\nx = pickle.loads(b'')", "S301"),
    ("import pickle", "TID251"),
    ("from joblib import load", "TID251"),
    ("import torch\n\nx = torch.load('a')", "TID251"),
    ("import os\n\nos.system('ls')", "TID251"),
    ("x = eval('1')", "S307"),
    ("exec('1')", "S102"),
    ("print(1)", "T201"),
    ("breakpoint()", "T100"),
    ("try:\n    x = 1\nexcept:\n    x = 2", "E722"),
    ("try:\n    x = 1\nexcept Exception:\n    pass", "S110"),
    ("for x in 'ab':\n    try:\n        y = x\n    except Exception:\n        continue", "S112"),
    ("try:\n    x = 1\nexcept BaseException:\n    ...", "BLE001"),
]


def test_ruff_sees_what_is_forbidden(tmp_path: Path) -> None:
    """Each in a file of its own, as if it were a module of the package."""
    for number, (code, _) in enumerate(FORBIDDEN):
        (tmp_path / f"{number}.py").write_text(code)
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise"]
    command += ["--config", str(ROOT / "pyproject.toml"), "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    said = [line for line in done.stdout.splitlines() if ".py:" in line]
    found = {(line.partition(".py:")[0], line.split()[1]) for line in said}
    wanted = {(str(number), rule) for number, (_, rule) in enumerate(FORBIDDEN)}
    assert wanted - found == set()
