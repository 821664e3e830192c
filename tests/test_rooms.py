"""A room imports only rooms below it. `pytest -s tests/test_rooms.py -k the_rooms` prints the rooms and the arrows."""

from __future__ import annotations

import ast
import graphlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest

ROOT = Path(__file__).parents[1]
LOOSE = "*"
"""The room of all files that lie in the package itself, where a table has it."""

ANALYSIS = ("pages", LOOSE, "audit", "drawing", "wording", "reading", "statistics")
SWEEP = (
    *("__init__.py", "cli", "on_ray", "search", "engine", "trial", "plan", "spec", "tasks", "track", "store"),
    *("errors.py", "words.py"),
)
"""Rooms, top first: the folders of a package, and files that stand for one."""

ONLY_IN = {
    "analysis": ("__init__.py", "cli"),
    "ray": ("on_ray",),
    "torch": ("on_ray", "engine", "trial", "tasks", "store"),
}
"""The rooms of `sweep` that may import these packages."""


When = Literal["load", "call", "types"]
"""As a module is loaded, as a function of it is called, or under TYPE_CHECKING."""


@dataclass(frozen=True)
class Arrow:
    """One module imports another, at a place: file and line."""

    module: str
    target: str
    place: str
    when: When


def arrows_of(root: Path, *packages: str) -> list[Arrow]:
    """Every import in these packages, those in functions and under TYPE_CHECKING included."""
    files = {_name(path.relative_to(root)): path for package in packages for path in (root / package).rglob("*.py")}
    found = []
    for module, path in sorted(files.items()):
        inside = module if path.name == "__init__.py" else module.rpartition(".")[0]
        for node, when in _imports(ast.parse(path.read_text("utf-8")), "load"):
            place = f"{path.relative_to(root)}:{node.lineno}"
            found += [Arrow(module, target, place, when) for target in _targets(node, inside, files)]
    return found


def _name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _imports(node: ast.AST, when: When) -> Iterator[tuple[ast.Import | ast.ImportFrom, When]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, when
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from _imports(ast.Module(child.body, []), "types")
            yield from _imports(ast.Module(child.orelse, []), when)
        else:
            called = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and when == "load"
            yield from _imports(child, "call" if called else when)


def _targets(node: ast.Import | ast.ImportFrom, inside: str, files: Collection[str]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    above = inside.split(".")[: len(inside.split(".")) - node.level + 1] if node.level else []
    base = ".".join([*above, *filter(None, [node.module])])
    named = (f"{base}.{alias.name}" for alias in node.names)
    return [*dict.fromkeys(name if name in files else base for name in named)]


def room_of(module: str, package: str, rooms: Sequence[str], root: Path) -> str | None:
    """The room of a module of the package; None if it is in no room of the table."""
    child = module.split(".")[1] if "." in module else "__init__"
    folder = (root / package / child).is_dir()
    room = child if folder else f"{child}.py"
    if room in rooms:
        return room
    return LOOSE if LOOSE in rooms and not folder else None


def judged(
    root: Path, package: str, rooms: Sequence[str], only_in: Mapping[str, Collection[str]] | None = None
) -> list[str]:
    """Print the rooms of a package and the arrows between them; what breaks the rule, by file and line."""
    arrows = arrows_of(root, package)
    modules = {_name(path.relative_to(root)) for path in (root / package).rglob("*.py")}
    home = {module: room_of(module, package, rooms, root) for module in modules}
    problems = [f"{name}: in no room of the table" for name, room in sorted(home.items()) if room is None]
    problems += [f"{room}: a room of the table without a file" for room in rooms if room not in home.values()]

    counts: Counter[tuple[str, str]] = Counter()
    circles: dict[str, set[str]] = {}
    for arrow in arrows:
        source, target = home[arrow.module], home.get(arrow.target)
        allowed = (only_in or {}).get(arrow.target.split(".")[0])
        if source is not None and allowed is not None and source not in allowed:
            problems.append(f"{arrow.place}: {source} imports {arrow.target}, as only {' and '.join(allowed)} may")
        if source is None or target is None:
            continue
        circles.setdefault(arrow.module, set()).add(arrow.target)
        if source != target:
            counts[source, target] += 1
        if rooms.index(target) < rooms.index(source):
            problems.append(f"{arrow.place}: {source} imports {arrow.target}, which is above it")
    try:
        graphlib.TopologicalSorter(circles).prepare()
    except graphlib.CycleError as error:
        circle = error.args[1][::-1]
        steps = [*pairwise(circle)]
        places = [arrow.place for step in steps for arrow in arrows if (arrow.module, arrow.target) == step]
        problems.append(f"{', '.join(places)}: a circle: {' -> '.join(circle)}")

    print(f"\n{package}: {len(rooms)} rooms, {len(counts)} arrows between them")
    for room in rooms:
        out = [f"{other} {counts[room, other]}" for other in rooms if counts[room, other]]
        print(f"  {room:<12}{sum(one == room for one in home.values()):>3} files -> {', '.join(out) or 'nothing'}")
    return problems


def heavy(root: Path, package: str, others: Sequence[str], forbidden: Collection[str]) -> list[str]:
    """Where a package imports what is forbidden: itself, or by loading modules of other packages."""
    arrows = arrows_of(root, package, *others)
    loads: dict[str, list[Arrow]] = {}
    for arrow in arrows:
        if arrow.when == "load" or (arrow.when == "call" and arrow.module.split(".")[0] == package):
            loads.setdefault(arrow.module, []).append(arrow)
    problems = []
    seen = {arrow.module for arrow in arrows if arrow.module.split(".")[0] == package}
    waiting = sorted(seen)
    for module in waiting:
        for arrow in loads.get(module, []):
            parts = arrow.target.split(".")
            if parts[0] in forbidden:
                problems.append(f"{arrow.place}: {package} loads {module}, which imports {arrow.target}")
            new = {".".join(parts[:depth]) for depth in range(1, len(parts) + 1)} - seen
            seen |= new
            waiting += sorted(new)
    return problems


def test_the_rooms_of_analysis():
    assert judged(ROOT, "analysis", ANALYSIS) == []


def test_the_rooms_of_sweep():
    assert judged(ROOT, "sweep", SWEEP, ONLY_IN) == []


def test_analysis_loads_neither_torch_nor_ray():
    assert heavy(ROOT, "analysis", ["sweep", "methods"], {"torch", "ray"}) == []


def test_methods_import_nothing_of_the_rest():
    targets = {arrow.target.split(".")[0] for arrow in arrows_of(ROOT, "methods")}
    assert not targets & {"analysis", "sweep", "ray"}


GOOD = {
    "house/__init__.py": "",
    "house/show.py": "from house.attic import view",
    "house/attic/view.py": "def look():\n    from house.cellar.wine import Wine",
    "house/attic/roof.py": "from . import view\nfrom ..cellar import wine",
    "house/cellar/wine.py": "from typing import TYPE_CHECKING\nimport ray\nif TYPE_CHECKING:\n    import json",
    "other/__init__.py": "",
    "other/light.py": "def slow():\n    import torch",
    "other/dark.py": "import torch.nn",
}
TABLE = (LOOSE, "attic", "cellar")


def built(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_a_house_that_keeps_the_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert judged(built(tmp_path, GOOD), "house", TABLE, {"ray": ["cellar"]}) == []
    assert capsys.readouterr().out.splitlines()[1:] == [
        "house: 3 rooms, 2 arrows between them",
        "  *             2 files -> attic 1",
        "  attic         2 files -> cellar 2",
        "  cellar        1 files -> nothing",
    ]


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (
            {"house/cellar/rat.py": "\nfrom house.attic.view import look"},
            "house/cellar/rat.py:2: cellar imports house.attic.view, which is above it",
        ),
        (
            {"house/cellar/rat.py": "def climb():\n    import house.attic.roof"},
            "house/cellar/rat.py:2: cellar imports house.attic.roof, which is above it",
        ),
        (
            {"house/cellar/rat.py": "import typing\nif typing.TYPE_CHECKING:\n    from ..attic import view"},
            "house/cellar/rat.py:3: cellar imports house.attic.view, which is above it",
        ),
        (
            {"house/attic/bird.py": "from house import show"},
            "house/attic/bird.py:1: attic imports house.show, which is above it",
        ),
        (
            {"house/attic/view.py": "from house.attic import roof"},
            "house/attic/roof.py:1, house/attic/view.py:1: a circle: "
            "house.attic.roof -> house.attic.view -> house.attic.roof",
        ),
        (
            {"house/attic/bird.py": "import ray.tune"},
            "house/attic/bird.py:1: attic imports ray.tune, as only cellar may",
        ),
        ({"house/shed/tool.py": ""}, "house.shed.tool: in no room of the table"),
    ],
    ids=["upward", "in a function", "for types", "loose", "circle", "only in", "no room"],
)
def test_a_house_that_breaks_the_rule(tmp_path: Path, files: Mapping[str, str], problem: str):
    assert judged(built(tmp_path, GOOD | files), "house", TABLE, {"ray": ["cellar"]}) == [problem]


def test_a_room_of_the_table_that_is_not_there_is_told(tmp_path: Path):
    assert judged(built(tmp_path, GOOD), "house", [*TABLE, "attics"]) == ["attics: a room of the table without a file"]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("import other.light", []),
        ("import other.dark", ["other/dark.py:1: house loads other.dark, which imports torch.nn"]),
        (
            "def late():\n    from other import dark",
            ["other/dark.py:1: house loads other.dark, which imports torch.nn"],
        ),
        ("def late():\n    import torch", ["house/attic/view.py:2: house loads house.attic.view, which imports torch"]),
    ],
    ids=["only when called", "through another", "late", "itself"],
)
def test_what_is_forbidden_is_found_in_what_a_package_loads(tmp_path: Path, text: str, problems: list[str]):
    assert heavy(built(tmp_path, GOOD | {"house/attic/view.py": text}), "house", ["other"], {"torch"}) == problems
