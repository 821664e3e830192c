"""Reads specs: YAML files, presets, mappings, and overrides of their keys."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from sweep.errors import InputError, first_line, nearest
from sweep.spec.source import Overrides, Source, called

NULL = "tag:yaml.org,2002:null"
BOOL = "tag:yaml.org,2002:bool"
INT = "tag:yaml.org,2002:int"
FLOAT = "tag:yaml.org,2002:float"

CORE_SCHEMA = {
    NULL: (re.compile(r"^(null|Null|NULL|~|)$"), ["n", "N", "~", ""]),
    BOOL: (re.compile(r"^(true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    INT: (re.compile(r"^([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"), list("-+0123456789")),
    FLOAT: (
        re.compile(r"^([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"),
        list("-+.0123456789"),
    ),
}
"""YAML 1.2's core schema (section 10.3.2 of its specification): for each kind of plain scalar its pattern, and the
characters that it may begin with. A scalar that fits no pattern is a string."""

INTEGER_BASES = {"0o": 8, "0x": 16}


class _Loader(yaml.SafeLoader):
    """Reads safe YAML with the scalars of YAML 1.2's core schema, and refuses a key that is given twice.

    PyYAML itself has the scalars of YAML 1.1, where 010 is 8, 5e-4 a string, and `off` a bool.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key '{key.value}' is given twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Writes YAML that reads back the same by YAML 1.1 and 1.2: it quotes strings that are something else in either."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _scalar(kind: str, convert: Callable[[str], Any]) -> Callable[[yaml.SafeLoader, yaml.ScalarNode], Any]:
    """A constructor of scalars of one kind. It refuses text of another form, which a tag may ask for: `!!int 1_000`."""

    def construct(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
        text = loader.construct_scalar(node)
        if not CORE_SCHEMA[kind][0].match(text):
            name = kind.rpartition(":")[2]
            raise yaml.constructor.ConstructorError(None, None, f"'{text}' is no {name}", node.start_mark)
        return convert(text)

    return construct


def _integer(text: str) -> int:
    return int(text[2:], INTEGER_BASES[text[:2]]) if text[:2] in INTEGER_BASES else int(text)


def _float(text: str) -> float:
    return float(text.replace(".", "") if text[-1] in "fFnN" else text)  # .inf and .nan


_CONVERT: dict[str, Callable[[str], Any]] = {
    NULL: lambda text: None,
    BOOL: lambda text: text.lower() == "true",
    INT: _integer,
    FLOAT: _float,
}

for _kind, (_pattern, _first) in CORE_SCHEMA.items():
    _Loader.add_implicit_resolver(_kind, _pattern, _first)
    _Loader.add_constructor(_kind, _scalar(_kind, _CONVERT[_kind]))
    _Dumper.add_implicit_resolver(_kind, _pattern, _first)
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"^<<$"), ["<"])  # `<<: *base`, which is no scalar


def write_yaml(document: dict[str, Any]) -> str:
    """The document as YAML that any reader of YAML 1.1 or 1.2 reads back equal."""
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet: all of the text, or no file.

    Raises:
        FileExistsError: it is there.
        OSError: it cannot be written.
    """
    stream = path.open("x", encoding="utf-8")
    try:
        with stream:
            stream.write(text)
    except OSError:
        path.unlink()
        raise


def presets() -> dict[str, str]:
    """The specs in the package: their texts by their names."""
    folder = resources.files("sweep.spec") / "presets"
    texts = {item.name.removesuffix(".yaml"): item.read_text("utf-8") for item in folder.iterdir()}
    return dict(sorted(texts.items()))


def read_document(source: Source, overrides: Overrides) -> tuple[str, dict[str, Any]]:
    """What messages call a spec, and its content with the overrides applied.

    Raises:
        InputError: there is no such file or preset, it is no YAML or no mapping, or an override has no place in it.
    """
    name = called(source)
    document = _copied(source) if isinstance(source, Mapping) else _read_file(name)
    for path, value, said in _assignments(overrides):
        _apply(document, path, value, said)
    return name, document


def _copied(source: Mapping[str, Any]) -> dict[str, Any]:
    document = {}
    for key, value in source.items():
        try:
            document[key] = copy.deepcopy(value)
        except TypeError as error:
            raise InputError(f"spec: {key}: not plain data: {error}") from error
    return document


def _read_file(source: str) -> dict[str, Any]:
    """The content of a file, or of a preset."""
    path = Path(source)
    if os.path.isfile(path):  # False for a name that is too long, where Path.is_file raises
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{source}: cannot be read as text: {error}") from error
    else:
        shipped = presets()
        if source not in shipped:
            if os.path.isdir(path):
                raise InputError(f"{source}: is a directory; a spec is a YAML file")
            raise InputError(f"{source}: no such file or preset; {nearest(source, shipped)}")
        text = shipped[source]
    document = read_yaml(text, source)
    if not isinstance(document, dict):
        raise InputError(f"{source}: a spec is a mapping of keys to values, not {type(document).__name__}")
    return document


def read_yaml(text: str, name: str) -> Any:
    """The content of a YAML text; messages call it `name`.

    Raises:
        InputError: it is no YAML.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InputError(f"{name}: {where}not YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{name}: not YAML: {first_line(error)}") from error


def _assignments(overrides: Overrides) -> Iterator[tuple[str, Any, str]]:
    """The path and the value of each override, and what messages call it."""
    if isinstance(overrides, Mapping):
        yield from ((str(path), value, f"overrides: {path}") for path, value in overrides.items())
        return
    for override in overrides:
        path, separator, text = override.partition("=")
        if not separator or not path:
            raise InputError(f"--set {override}: write PATH=VALUE, as in 'methods.uam.rho=[1,2]'")
        yield path, read_yaml(text, f"--set {path}"), f"--set {override}"


def _apply(document: dict[str, Any], path: str, value: Any, said: str) -> None:
    """Set one value in place, at a path such as `training.epochs`, `methods.uam.rho` or `methods.2.rho`."""
    *parents, last = path.split(".")
    place: Any = document
    for depth, part in enumerate([*parents, last]):
        here = ".".join([*parents, last][:depth])
        if isinstance(place, list):
            part = _entry(place, part, f"{said}: '{here}'")
        elif not isinstance(place, dict):
            raise InputError(f"{said}: '{here}' is a value and has no '{part}'")
        key: Any = int(part) if isinstance(place, list) else part
        if depth == len(parents):
            place[key] = value
        else:
            if isinstance(place, dict) and place.get(key) is None:
                place[key] = {}
            place = place[key]


def _entry(entries: list[Any], part: str, what: str) -> str:
    """The position of the list's entry that `part` gives, by its position or by its `name`.

    Raises:
        InputError: there is no such entry, or there are several of that name.
    """
    if part.isdecimal() and int(part) < len(entries):
        return part
    found = [str(place) for place, one in enumerate(entries) if isinstance(one, dict) and one.get("name") == part]
    if not found:
        names = [str(one["name"]) for one in entries if isinstance(one, dict) and "name" in one]
        hint = f"; {nearest(part, names)}" if names else ""
        raise InputError(f"{what} has entries 0 to {len(entries) - 1}, not '{part}'{hint}")
    if len(found) > 1:
        raise InputError(f"{what} has several entries named '{part}': {', '.join(found)}; give one of these numbers")
    return found[0]
