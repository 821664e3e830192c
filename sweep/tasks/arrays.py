"""What the arrays of a data set in memory must be."""

from __future__ import annotations

import numpy as np

from sweep.errors import InputError


def require_array(name: str, found: object, kind: type[np.generic], shape: str) -> None:
    """Check that something is an array of a type, with as many dimensions as `shape` names, as in "N, C, H, W".

    Raises:
        InputError: it is not.
    """
    wanted = f"{np.dtype(kind)} [{shape}]"
    if not isinstance(found, np.ndarray):
        raise InputError(f"{name}: {wanted} is needed, not {type(found).__name__}")
    if found.dtype != kind or found.ndim != len(shape.split(",")):
        raise InputError(f"{name}: {wanted} is needed, not {found.dtype} {list(found.shape)}")


def require_images(name: str, found: object) -> None:
    """Check that something is images, uint8 [N, C, H, W].

    Raises:
        InputError: it is not, or channels come last.
    """
    require_array(name, found, np.uint8, "N, C, H, W")
    assert isinstance(found, np.ndarray)
    if found.shape[1] not in (1, 3) and found.shape[3] in (1, 3):
        raise InputError(f"{name}: channels come first, as in [N, C, H, W]; these are {list(found.shape)}")


def require_pairs(parts: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Check that inputs and targets of each part are as many, and that inputs have the same shape in all parts.

    Raises:
        InputError: they are or have not.
    """
    for part, (inputs, targets) in parts.items():
        if len(inputs) != len(targets):
            raise InputError(f"{part}: {len(inputs)} inputs have {len(targets)} targets")
    shapes = {part: list(inputs.shape[1:]) for part, (inputs, _) in parts.items()}
    first, *rest = shapes.values()
    if any(shape != first for shape in rest):
        raise InputError(f"inputs differ in shape: {', '.join(f'{part} {shape}' for part, shape in shapes.items())}")
