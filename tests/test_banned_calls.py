"""Loading never executes, and no error is swallowed: what the source must not contain."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_architecture import SOURCES, relative, tree_of

MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
CALLS = {"eval", "exec", "compile", "__import__", "breakpoint"}
ATTRIBUTES = {("torch", "load"), ("torch", "save"), ("os", "system")}
WIDE = {"Exception", "BaseException"}


def banned_import(node: ast.AST) -> bool:
    match node:
        case ast.Import(names=names):
            return bool({alias.name.partition(".")[0] for alias in names} & MODULES)
        case ast.ImportFrom(module=str(name)):
            return name.partition(".")[0] in MODULES
    return False


def banned_call(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name in CALLS
        case ast.Attribute(value=ast.Name(id=owner), attr=attribute):
            return (owner, attribute) in ATTRIBUTES
        case ast.keyword(arg="allow_pickle", value=value):
            return not (isinstance(value, ast.Constant) and value.value is False)
    return False


def prints(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    )


def hides_errors(node: ast.AST) -> bool:
    match node:
        case ast.ExceptHandler(type=None):
            return True
        case ast.ExceptHandler(type=ast.Name(id=name), body=[only]):
            return name in WIDE and isinstance(only, ast.Pass | ast.Expr | ast.Continue)
        case ast.Call(func=ast.Name(id="suppress") | ast.Attribute(attr="suppress"), args=args):
            return any(isinstance(argument, ast.Name) and argument.id in WIDE for argument in args)
    return False


def violations(tree: ast.Module, *, may_print: bool) -> Iterator[str]:
    checks = (banned_import, banned_call, hides_errors, *(() if may_print else (prints,)))
    for node in ast.walk(tree):
        for check in checks:
            if check(node):
                yield f"{check.__name__}: {ast.unparse(node)}"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_nothing_runs_foreign_code_or_hides_errors(path: Path) -> None:
    assert list(violations(tree_of(path), may_print=path.parent.name == "benchmarks")) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(path)",
        "eval(text)",
        "exec(text)",
        "numpy.load(path, allow_pickle=True)",
        "numpy.load(path, allow_pickle=flag)",
        "print(1)",
        "try:\n    f()\nexcept:\n    g()",
        "try:\n    f()\nexcept Exception:\n    pass",
        "try:\n    f()\nexcept BaseException:\n    ...",
        "with contextlib.suppress(Exception):\n    f()",
    ],
)
def test_the_check_sees_what_it_forbids(code: str) -> None:
    assert list(violations(ast.parse(code), may_print=False))


@pytest.mark.parametrize("code", ["model.eval()", "load(p, allow_pickle=False)", "re.compile(p)"])
def test_the_check_lets_the_innocent_through(code: str) -> None:
    assert not list(violations(ast.parse(code), may_print=False))
