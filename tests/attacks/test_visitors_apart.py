"""What one visitor does never shows in what another sees."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from galaxy_explorer import load_bundle
from galaxy_explorer.bundle.bundle import Bundle
from galaxy_explorer.explorer.state import ExplorerState

ACTIONS = 1000
EXPLORER = Path(__file__).resolve().parents[2] / "galaxy_explorer" / "explorer"
Action = Callable[[ExplorerState], object]


@pytest.fixture(scope="module")
def loaded(intact) -> Bundle:
    return load_bundle(intact)


def random_action(generator: np.random.Generator, bundle: Bundle) -> Action:
    rows = generator.choice(len(bundle), int(generator.integers(0, 20)), replace=False)
    number = int(generator.integers(len(bundle)))
    keys = list(bundle.clusterings)
    key = keys[number % len(keys)]
    actions: list[Action] = [
        lambda state: state.select(rows, f"{len(rows)} by lasso"),
        lambda state: state.select_cluster(number % 8, "a cluster"),
        lambda state: state.clear(),
        lambda state: state.param.update(clustering=key),
        lambda state: state.param.update(compare=key),
        lambda state: state.param.update(colour_by=state.param.colour_by.objects[number % 3]),
        lambda state: state.param.update(focus=number),
        lambda state: state.display.param.update(percentile=90 + number % 10),
        lambda state: state.param.update(pictures=("reconstruction", "original")[number % 2]),
    ]
    return actions[int(generator.integers(len(actions)))]


def seen(state: ExplorerState) -> dict[str, object]:
    """All that a visitor has chosen."""
    values = {**state.param.values(), **state.display.param.values()}
    values.pop("display")
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in values.items()
        if name != "name"
    }


def test_interleaved_visitors_see_what_each_would_see_alone(loaded) -> None:
    generator = np.random.default_rng(17)
    actions = [random_action(generator, loaded) for _ in range(ACTIONS)]
    owners = generator.integers(2, size=ACTIONS)
    together = [ExplorerState(loaded) for _ in range(2)]
    for action, owner in zip(actions, owners, strict=True):
        action(together[owner])
    for owner, state in enumerate(together):
        alone = ExplorerState(loaded)
        for action, of in zip(actions, owners, strict=True):
            if of == owner:
                action(alone)
        assert seen(state) == seen(alone)
    assert seen(together[0]) != seen(together[1])


STORES = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)


def kept(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and name of what a module could keep from one visitor to the next."""
    yield from ((n.lineno, "global") for n in ast.walk(tree) if isinstance(n, ast.Global))
    for node in tree.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, STORES):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                name = target.id if isinstance(target, ast.Name) else "__"
                if name != name.upper() and not name.startswith("__"):
                    yield node.lineno, name


def test_no_module_of_the_explorer_keeps_what_a_visitor_did() -> None:
    paths = sorted(EXPLORER.rglob("*.py"))
    found = {str(path): list(kept(ast.parse(path.read_text(encoding="utf-8")))) for path in paths}
    assert {path: names for path, names in found.items() if names} == {}
    keeps = ast.parse("__all__ = []\nseen = {}\ndef f():\n    global x")
    assert list(kept(keeps)) == [(4, "global"), (2, "seen")]
