"""Who may import whom. The pure folders compute: no Faust, no I/O, no clock, no environment, no chance."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: Layers from the inside to the outside: each may import those before it, and itself.
LAYERS = ["schemas", "streams", "sinks", "deploy", "tests"]

#: What the pure folders may import from outside of `streams`. None of it can reach outside of the process or knows the time.
PURE = {
    *("__future__", "abc", "bisect", "collections", "collections.abc", "dataclasses", "enum", "functools", "heapq"),
    *("itertools", "math", "operator", "struct", "typing", "re", "string", "datetime", "ipaddress", "urllib.parse"),
    *("base64", "hashlib", "hmac", "zlib", "msgspec", "orjson", "schemas.errors", "schemas.event"),
    *("schemas.config.definitions", "numpy", "numpy.typing", "scipy.special", "scipy"),
}
#: Of modules that are allowed, what would ask the machine after all.
IMPURE_NAMES = {"now", "utcnow", "today", "open", "print", "input", "breakpoint", "eval", "exec", "__import__"}


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def is_pure(path: Path) -> bool:
    """All of `streams` but its folder `runtime`, and `app.py`, which wires the one to the other."""
    return path.parts[-2] != "runtime" and path != ROOT / "streams" / "app.py"


PURE_FILES = [path for path in modules("streams") if is_pure(path)]
CODE = [path for layer in LAYERS[:-1] for path in modules(layer)]


def imports(path: Path, *, top_level: bool = False) -> Iterator[str]:
    """The modules that a file imports, wherever in it; with `top_level`, only when it is imported itself."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in tree.body if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            assert node.module is not None
            for alias in node.names:
                inner = ROOT.joinpath(*node.module.split("."), alias.name)
                yield f"{node.module}.{alias.name}" if inner.with_suffix(".py").exists() else node.module


def called_names(path: Path) -> Iterator[str]:
    """All names and attributes that a file calls."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func
            yield (
                called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
            )


def circle(edges: dict[str, set[str]]) -> list[str]:
    """Nodes that import each other, directly or not; empty where there are none."""
    from graphlib import CycleError

    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.parametrize("path", PURE_FILES, ids=name_of)
def test_a_pure_file_imports_nothing_that_reaches_outside(path):
    inside = {name_of(each) for each in PURE_FILES}
    assert sorted(set(imports(path)) - PURE - inside) == []


@pytest.mark.parametrize("path", PURE_FILES, ids=name_of)
def test_a_pure_file_asks_neither_clock_nor_machine(path):
    assert sorted(set(called_names(path)) & IMPURE_NAMES) == []


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_those_inside_it(layer):
    outside = set(LAYERS[LAYERS.index(layer) + 1 :])
    wrong = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules(layer)
        for name in imports(path)
        if name.split(".")[0] in outside
    }
    assert wrong == set()


def test_no_files_import_each_other_in_a_circle():
    names = {name_of(path) for path in CODE}
    assert circle({name_of(path): set(imports(path)) & names for path in CODE}) == []


@pytest.mark.parametrize("layer", LAYERS[:-1])
def test_no_folders_import_each_other_in_a_circle(layer):
    edges: dict[str, set[str]] = {}
    for path in modules(layer):
        folder = path.parent.relative_to(ROOT).as_posix()
        for name in imports(path):
            target = ROOT.joinpath(*name.split("."))
            found = (target if target.is_dir() else target.parent).relative_to(ROOT).as_posix()
            # The files on top of a layer tie its folders together.
            if name.startswith(f"{layer}.") and layer not in (found, folder) and found != folder:
                edges.setdefault(folder, set()).add(found)
    assert circle(edges) == []


def test_the_reference_shares_no_code_with_what_it_checks():
    code = {"streams", "sinks", "deploy"}
    wrong = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules("tests/support/reference")
        for name in imports(path)
        if name.split(".")[0] in code
    }
    assert wrong == set()


def test_there_are_no_other_packages():
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == set(LAYERS)


def test_nothing_lies_flat_in_deploy():
    assert [path.name for path in (ROOT / "deploy").glob("*.py") if path.name != "__init__.py"] == []
