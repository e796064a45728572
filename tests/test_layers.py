"""Who may import whom. The core computes: no Faust, no I/O, no clock, no environment, no chance."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

#: The imperative shell of the streams. Every other module of `streams` is core, new ones too.
SHELL = {
    *(
        "app",
        "batches",
        "beats",
        "brokers",
        "delivery",
        "ending",
        "erasure_feed",
        "faust_app",
        "lease",
        "metrics",
        "standing",
        "tables",
        "transport",
    ),
    "watchdog",
}

#: All that the core may import beside itself. None of it can reach outside of the process or knows the time.
PURE = {
    *("__future__", "abc", "bisect", "collections", "collections.abc", "dataclasses", "enum", "functools", "heapq"),
    *("itertools", "math", "operator", "struct", "typing", "re", "string", "datetime", "ipaddress", "urllib.parse"),
    *("base64", "hashlib", "hmac", "zlib", "msgspec", "orjson", "schemas.event", "schemas.definitions"),
    *("numpy", "numpy.typing", "scipy.special", "scipy"),
}
#: Of modules that are allowed, what would ask the machine after all.
IMPURE_NAMES = {"now", "utcnow", "today", "open", "print", "input", "breakpoint", "eval", "exec", "__import__"}

#: Layers from the inside to the outside: each may import those before it, and itself.
LAYERS = ["schemas", "streams", "sinks", "deploy", "tests"]


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


CORE = [path for path in modules("streams") if path.stem not in SHELL]


def imports(path: Path) -> Iterator[str]:
    """All modules that a file imports, wherever in it, a `from` import of a module by its full name."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            assert node.module is not None
            for alias in node.names:
                inner = ROOT.joinpath(*node.module.split("."), alias.name)
                yield f"{node.module}.{alias.name}" if inner.with_suffix(".py").exists() else node.module


def names(path: Path) -> Iterator[str]:
    """All names and attributes that a file calls."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func
            yield (
                called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
            )


def test_the_shell_is_there():
    assert {path.stem for path in modules("streams")} >= SHELL


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_the_core_imports_nothing_that_reaches_outside(path):
    inside = {".".join(core.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for core in CORE}
    assert sorted(set(imports(path)) - PURE - inside) == []


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_the_core_asks_neither_clock_nor_machine(path):
    assert sorted(set(names(path)) & IMPURE_NAMES) == []


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


def test_the_reference_shares_no_code_with_what_it_checks():
    code = {"streams", "sinks", "deploy"}
    wrong = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules("tests/reference")
        for name in imports(path)
        if name.split(".")[0] in code
    }
    assert wrong == set()


def test_there_are_no_other_packages():
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == set(LAYERS)
