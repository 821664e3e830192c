"""What is wrong with a spec, in one line: pydantic's complaints in the words of a spec."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from sweep.errors import InputError, nearest
from sweep.spec.options import RANGE


def validated(model: type[Any], data: Any, path: tuple[str, ...] = (), other_keys: Collection[str] = ()) -> Any:
    """The pydantic model made of the plain data that a spec has at `path`.

    Args:
        other_keys: keys that are valid beside the model's own, for the hint at an unknown one.

    Raises:
        InputError: one line with the key, what is wrong, and the nearest valid name.
    """
    try:
        text = json.dumps(data, default=_plain)
    except (TypeError, ValueError) as error:
        raise InputError(f"{'.'.join(path) or 'the spec'}: not plain data: {error}") from error
    try:
        return model.model_validate_json(text)  # from JSON, because a strict model takes its lists as tuples
    except ValidationError as error:
        raise InputError(_explain(model, error, data, path, other_keys)) from error


def _plain(value: Any) -> Any:
    """What JSON has no form for: NumPy's numbers and arrays as Python's, all else (paths, Python's ranges) as text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _explain(
    model: type[BaseModel], error: ValidationError, data: Any, path: tuple[str, ...], other_keys: Collection[str]
) -> str:
    """The first of pydantic's complaints, in one line."""
    first = error.errors()[0]
    where = ".".join([*path, *_written_location(data, first["loc"])])
    prefix = f"{where}: " if where else ""
    kind, context = first["type"], first.get("ctx", {})
    if kind == "extra_forbidden":
        *parents, key = first["loc"]
        valid = _keys_at(model, parents) | set(() if parents else other_keys)
        return f"{prefix}unknown key; {nearest(str(key), valid)}"
    if kind == "missing":
        return f"{prefix}required, and missing"
    if kind == "too_short":
        return f"{prefix}an empty list leaves nothing to run"
    if kind == "literal_error":
        names = re.findall(r"'([^']*)'", str(context["expected"]))
        return f"{prefix}{first['input']!r} is unknown; {nearest(str(first['input']), names)}"
    if kind == "value_error":
        return f"{prefix}{context['error']}"
    if kind == "model_type":
        return f"{prefix}should be a mapping of keys to values, not {first['input']!r}"
    return f"{prefix}{_wording(first['msg'])}, not {first['input']!r}"


def _written_location(data: Any, location: tuple[int | str, ...]) -> list[str]:
    """The location that pydantic gives, in the keys that were written: without the position of a value that was given
    bare in place of a list, and without the names of the types that pydantic tried.
    """
    written = []
    for part in location:
        if not isinstance(data, list if isinstance(part, int) else dict) or (part == RANGE and part not in data):
            continue
        written.append(str(part))
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
    return written


def _keys_at(model: type[BaseModel], location: Sequence[int | str]) -> set[str]:
    """Valid keys of the model, or of the model inside it, at a location that pydantic gives."""
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            found = _model_in(model.model_fields[part].annotation)
            if found is None:
                return set()
            model = found
    return {field.alias or key for key, field in model.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if found := _model_in(argument):
            return found
    return None


def _wording(message: str) -> str:
    """Pydantic's message about a value, in the words of a spec."""
    said = message.removeprefix("Input ").partition(", unable")[0]
    for word, ours in (("valid array", "valid list"), ("an object", "a mapping"), ("a valid boolean", "true or false")):
        said = said.replace(word, ours)
    return said
