"""The shape of the source: who may import whom, how long things get, what is tracked.

Each test reads every file and lists all that offend. Who may import whom is written down in
pyproject.toml, what is allowed twice in CONTRIBUTING.md.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "galaxy_explorer"
MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = [
    path
    for path in (*MODULES, *ROOT.glob("*.py"), *(ROOT / "benchmarks").glob("*.py"))
    if path.stat().st_size
]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
SCRIPTS = sorted((PACKAGE / "explorer").rglob("*.js"))
STYLES = sorted((PACKAGE / "explorer").rglob("*.css"))

Function = ast.FunctionDef | ast.AsyncFunctionDef

MAX_MODULES = 275
MAX_FILE_LINES = 600
MAX_TEST_LINES = 800
MAX_APP_LINES = 30
MAX_FUNCTION_LINES = 60
MAX_ARGUMENTS = 8
MAX_CALLED_ONCE = 0.15
"""Share of functions that are private and called at one place: paragraphs torn out of a text."""


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, Function):
            yield node


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Hold the package in a folder against the contracts of its pyproject.toml."""
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", code, "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_imports_follow_the_one_way_rule() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


CLIMBS = {
    "errors": "galaxy_explorer.utils.files",
    "survey.images": "galaxy_explorer.models.layers",
    "explorer.state": "galaxy_explorer.explorer.links",
    "explorer.pages.claims": "galaxy_explorer.explorer.pages.atlas",
    "explorer.plots.palette": "panel",
    "bundle.files": "bokeh",
    "labels.scheme": "torch",
    "explorer.search": "sklearn",
    "models.layers": "galsim",
}
"""module: what it may not import"""


def test_the_one_way_rule_sees_what_it_forbids(tmp_path: Path) -> None:
    """Inside a function, as well."""
    only_python = lambda folder, names: [  # noqa: E731
        name for name in names if not (Path(folder, name).is_dir() or name.endswith(".py"))
    ]
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name, ignore=only_python)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for module, other in CLIMBS.items():
        path = tmp_path / PACKAGE.name / f"{module.replace('.', '/')}.py"
        with path.open("a") as file:
            file.write(f"\n\ndef climb():\n    import {other}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1, done.stdout
    said = "".join(done.stdout.split())  # whose lines are wrapped
    seen = {m: o for m, o in CLIMBS.items() if f"galaxy_explorer.{m}->{o}(" in said}
    assert seen == CLIMBS, done.stdout


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("galaxy_explorer", ("torch", "panel", "bokeh", "pandas", "sklearn", "umap", "galsim")),
        ("galaxy_explorer.cli", ("torch", "panel", "bokeh", "pandas", "sklearn", "umap", "galsim")),
        (
            "galaxy_explorer.bundle.bundle",
            ("torch", "panel", "pandas", "sklearn", "umap", "galsim"),
        ),
        ("galaxy_explorer.explorer.state", ("torch", "panel", "sklearn", "umap")),
        ("galaxy_explorer.explorer.app, galaxy_explorer.explorer.pages.atlas", ("holoviews",)),
    ],
)
def test_slow_libraries_are_not_imported_before_they_are_used(module: str, absent: tuple) -> None:
    code = f"import sys, {module}; print(*sorted(set({absent!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_nothing_is_imported_relatively() -> None:
    assert [
        f"{relative(path)}:{node.lineno}"
        for path in (*SOURCES, *TESTS)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom) and node.level
    ] == []


def test_the_package_has_few_files_and_none_is_too_long() -> None:
    assert len(MODULES) <= MAX_MODULES
    limits = dict.fromkeys((*SOURCES, *SCRIPTS, *STYLES), MAX_FILE_LINES)
    limits |= dict.fromkeys(TESTS, MAX_TEST_LINES)
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in limits}
    assert [f"{relative(p)}: {n} lines" for p, n in lines.items() if n > limits[p]] == []


def test_the_app_only_joins_its_parts() -> None:
    app = ROOT / "app.py"
    assert len(app.read_text().splitlines()) <= MAX_APP_LINES
    assert next(functions(app), None) is None


def is_command(path: Path, function: Function) -> bool:
    """Whether a function is a command: its arguments are the options, one each."""
    options = path.parent == PACKAGE / "api" and not function.name.startswith("_")
    return options or (path.parent.name == "commands" and function.name == path.stem)


def length(path: Path, function: Function) -> int:
    """Lines without the docstring; of a command, without its options too."""
    documented = ast.get_docstring(function) is not None
    start = function.body[0].lineno if is_command(path, function) else function.lineno
    docstring = function.body[0]
    drop = (docstring.end_lineno or 0) - docstring.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - start + 1 - drop


def argument_count(function: Function) -> int:
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    return len([argument for argument in named if argument.arg not in {"self", "cls"}])


def test_no_function_is_too_long_or_asks_too_much() -> None:
    every = [(path, function) for path in SOURCES for function in functions(path)]
    assert [
        f"{relative(path)}:{function.lineno} {function.name}"
        for path, function in every
        if length(path, function) > MAX_FUNCTION_LINES
        or (argument_count(function) > MAX_ARGUMENTS and not is_command(path, function))
    ] == []


def called_once(path: Path) -> Iterator[str]:
    """Private functions and methods that their module names at one place only."""
    used = Counter(
        node.id if isinstance(node, ast.Name) else node.attr
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Name | ast.Attribute)
    )
    for function in functions(path):
        name = function.name
        if name.startswith("_") and not name.startswith("__") and used[name] == 1:
            yield f"{relative(path)}:{function.lineno} {name}"


def test_few_private_functions_are_called_at_one_place_only() -> None:
    """What is called once is a paragraph: it reads best where it is called.

    A good reason to keep one is that it is handed over as a callback, tested by itself,
    or a thing that has a name in the field.
    """
    offenders = [one for path in MODULES for one in called_once(path)]
    count = sum(1 for path in MODULES for _ in functions(path))
    listed = "\n".join(offenders)
    assert len(offenders) < MAX_CALLED_ONCE * count, f"{len(offenders)} of {count}\n{listed}"


def test_no_class_has_the_name_of_another() -> None:
    places = defaultdict(list)
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{relative(path)}:{node.lineno}")
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_module_names_that_stand_twice_have_their_reason_in_contributing() -> None:
    count = Counter(path.stem for path in MODULES if path.stem not in {"__init__", "__main__"})
    twice = {name for name, number in count.items() if number > 1}
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("## Module names that stand twice")[2].partition("\n## ")[0]
    reasons = dict(re.findall(r"^\| `(\w+)` \| (.*?) *\|$", table, re.MULTILINE))
    assert set(reasons) == twice
    assert all(len(reason.split()) > 3 for reason in reasons.values())


def test_a_file_says_what_it_is() -> None:
    assert [relative(path) for path in SOURCES if not ast.get_docstring(tree_of(path))] == []
    future = [
        path
        for path in SOURCES
        if any(
            isinstance(n, ast.ImportFrom) and n.module == "__future__" for n in tree_of(path).body
        )
    ]
    working = [path for path in SOURCES if next(functions(path), None) is not None]
    assert sorted(set(working) - set(future)) == []


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: what is tracked cannot be told")
    return [path for name in listed.stdout.decode().split("\0") if (path := ROOT / name).is_file()]


def test_no_survey_pixels_are_tracked(tracked: list[Path]) -> None:
    outside = [path for path in tracked if ROOT / "tests" not in path.parents]
    pictures = (".jpg", ".jpeg", ".fits", ".fit", ".fits.gz", ".zarr", ".npy")
    assert [path for path in outside if path.name.lower().endswith(pictures)] == []


def test_no_tracked_file_is_large(tracked: list[Path]) -> None:
    bundles = {ROOT / "trained", PACKAGE / "demo"}
    allowed = {path: 20 if bundles.intersection(path.parents) else 5 for path in tracked}
    assert [p for p, megabytes in allowed.items() if p.stat().st_size > megabytes * 1e6] == []


def test_no_text_names_one_machine_or_a_package_index(tracked: list[Path]) -> None:
    local = re.compile(rb"(?<![\w.])/(?:work|tmp|root|home|Users|farm)/\w")
    index = re.compile(rb"(?:pypi|pythonhosted|pytorch|npmjs)\.(?:org|com)\b", re.IGNORECASE)
    texts = {path: path.read_bytes() for path in tracked if path.stat().st_size < 1 << 20}
    named = [path for path, text in texts.items() if local.search(text) or index.search(text)]
    assert [path for path in named if b"\0" not in texts[path]] == []
