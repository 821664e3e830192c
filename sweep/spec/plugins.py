"""Finds what a spec names: built-in methods, datasets and models, and plugins named `package.module:attribute`."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
import os
import sys
from abc import ABC
from collections.abc import Callable, Iterable
from contextlib import chdir
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from methods import METHODS, Descent, Method
from sweep.errors import InputError, nearest
from sweep.store.metrics import learn
from sweep.tasks.dataset import kind_of
from sweep.tasks.datasets import DATASETS, Dataset
from sweep.tasks.kind import Kind
from sweep.tasks.kinds import KINDS
from sweep.tasks.models import MODELS, ModelBuilder, torchvision_builder, torchvision_names

T = TypeVar("T")
C = TypeVar("C", bound=ABC)

_imported: dict[str, bytes] = {}
"""The source of each plugin's module, as it was imported."""


def find_method(name: str) -> type[Method]:
    """The method class called `name`.

    Raises:
        InputError: no such method, or a plugin that is not a frozen dataclass that completes `methods.Method`.
    """
    if ":" not in name:
        return _builtin("method", name, METHODS)
    found = load_class(name, Method, "methods.Method")
    if issubclass(found, Descent) and (found.gradients, found.passes) == (Descent.gradients, Descent.passes):
        raise InputError(f"plugin '{name}' defines neither gradients nor passes")
    if "__dataclass_params__" not in vars(found):  # without it, its fields are no hyperparameters
        raise InputError(f"plugin '{name}' is not a dataclass; write @dataclass(frozen=True) above the class")
    if "zip" in {item.name for item in dataclasses.fields(found)}:
        raise InputError(f"plugin '{name}' has a hyperparameter 'zip', a word of specs; give it another name")
    return found


def find_dataset(name: str) -> type[Dataset]:
    """The dataset class called `name`.

    Raises:
        InputError: no such dataset, or a plugin that does not complete `sweep.tasks.datasets.Dataset`.
    """
    if ":" not in name:
        return _builtin("dataset", name, DATASETS)
    return load_class(name, Dataset, "sweep.tasks.datasets.Dataset")


def find_kind(dataset: str) -> Kind:
    """The kind of task that the dataset called `dataset` is for.

    Raises:
        InputError: as `find_dataset`; or a package is not installed that the kind needs.
    """
    kind = kind_of(find_dataset(dataset))
    for package in kind.packages:
        if importlib.util.find_spec(package) is None:
            raise InputError(f"{dataset} needs {package}: pip install 'unlearn-sweep[{kind.name}]'")
    learn(kind.name, kind.metrics)
    return kind


def kind_called(name: str) -> Kind:
    """The kind of task called `name`: built-in, or a plugin's.

    Raises:
        InputError: there is none.
    """
    if ":" not in name:
        return _builtin("kind of task", name, KINDS)
    return load_class(name, Kind, "sweep.tasks.kind.Kind")()


def find_model(name: str) -> ModelBuilder:
    """The function (outputs, inputs, **options) -> network called `name`: built-in, torchvision's, or a plugin's.

    Raises:
        InputError: no such model, or a plugin that cannot be called.
    """
    if ":" in name:
        found = load_plugin(name)
        if not callable(found):
            raise InputError(f"plugin '{name}' cannot be called")
        builder: ModelBuilder = found
        return builder
    if name in MODELS:
        return MODELS[name]
    if name in torchvision_names():
        return torchvision_builder(name)
    raise _unknown("model", name, [*MODELS, *torchvision_names()])


@cache
def plugin_source(name: str) -> bytes:
    """The names and sources of the module in a plugin's name, and of those that define the plugin and its kind of task.

    Raises:
        InputError: no such plugin.
    """
    found = load_plugin(name)
    defined: list[object] = [found]
    if inspect.isclass(found) and issubclass(found, Dataset) and not isinstance(found.kind, str):
        defined.append(found.kind)
    modules = {name.partition(":")[0], *(str(getattr(each, "__module__", "")) for each in defined)}
    return b"".join(module.encode() + b"\0" + _source(module) + b"\0" for module in sorted(modules))


def _source(module: str) -> bytes:
    try:
        return Path(str(getattr(sys.modules.get(module), "__file__", ""))).read_bytes()
    except OSError:
        return b""


def _builtin(kind: str, name: str, known: dict[str, T]) -> T:
    if name not in known:
        raise _unknown(kind, name, known)
    return known[name]


def _unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    module, dot, attribute = name.rpartition(".")
    hint = f"a plugin is written {module}:{attribute}" if dot else nearest(name, known)
    return InputError(f"unknown {kind} '{name}'; {hint}")


def load_class(name: str, base: type[C], words: str) -> type[C]:
    """The class that a plugin's name names.

    Args:
        base: what it must complete; `words` is how a plugin imports that.

    Raises:
        InputError: it cannot be imported, is no such class, or leaves something of its base undefined.
    """
    found = load_plugin(name)
    if not (inspect.isclass(found) and issubclass(found, base)):
        raise InputError(f"plugin '{name}' is not a subclass of {words}")
    if missing := sorted(found.__abstractmethods__):
        raise InputError(f"plugin '{name}' does not define {', '.join(missing)}")
    return found


def search_last(folder: str) -> None:
    """Put `folder` last on Python's path for modules, wherever it was there."""
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.append(folder)


def load_plugin(name: str) -> Callable[..., Any] | type[Any]:
    """What `package.module:attribute` names; its module may lie in the folder of the command.

    Raises:
        InputError: there is no such module, importing it fails, or it has no such attribute.
    """
    module_name, _, attribute = name.partition(":")
    folder = os.getcwd()
    for place in (str(Path(__file__).parents[2]), folder):  # last, so that a folder `analysis` there does not hide ours
        if place not in sys.path:
            sys.path.append(place)
    if hidden := _hidden(module_name, folder):
        raise InputError(f"plugin '{name}': {hidden}")
    try:
        with chdir(folder):  # a module may change it, and others' relative paths with it
            module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        why = f"importing {module_name} failed: {type(error).__name__}: {error}"
        if isinstance(error, ImportError) and error.name is not None:
            if hidden := _hidden(error.name, folder):
                why += f"; {hidden}"
            elif module_name.split(".")[0] == error.name:
                why += f"; a plugin is installed, or lies in the folder of the command, {folder}"
        raise InputError(f"plugin '{name}': {why}") from error
    if module_name not in _imported:
        _imported[module_name] = _source(module_name)
    try:
        found: Callable[..., Any] | type[Any] = getattr(module, attribute)
    except AttributeError:
        own = [key for key, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
        names = [key for key in own if not key.startswith("_")]
        raise InputError(f"plugin '{name}': {module_name} has no '{attribute}'; {nearest(attribute, names)}") from None
    return found


def require_plugins_as_imported() -> None:
    """Refuse to go on with the code of a plugin that its file no longer has, as in a notebook after an edit.

    Raises:
        InputError: the file of a plugin's module was changed after this process imported it.
    """
    for module, source in _imported.items():
        if _source(module) != source:
            raise InputError(
                f"plugin {module}: its file was changed after it was imported; restart Python, or the kernel"
            )


def _hidden(module: str, folder: str) -> str | None:
    """A message if another module of the same name hides the module of `folder`; None if none does."""
    top = module.split(".")[0]
    try:
        path, mine = Path(folder, *module.split(".")), Path(folder, top)
        own = next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)
        found = importlib.util.find_spec(top)
    except ValueError:  # `module` cannot be the name of a module
        return None
    if own is None or found is None:
        return None
    places = [place for place in (found.origin, *(found.submodule_search_locations or ())) if place]
    if {mine, mine.with_suffix(".py"), mine / "__init__.py"} & set(map(Path, places)):
        return None
    return f"{own} is hidden by another module '{top}' ({places[0]}); give it another name"
