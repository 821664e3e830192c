"""Samples that tell what is read of them."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from methods import Samples


def watched(samples: Samples, seen: list[list[int]]) -> Samples:
    """Notes each batch's rows of the training set in `seen`."""
    rows = {tuple(raw.tolist()): row for row, raw in enumerate(samples.inputs)}

    def prepare(raw: Tensor, draws: Tensor | None) -> Tensor:
        seen.append([rows[tuple(one.tolist())] for one in raw])
        return raw

    return replace(samples, prepare=prepare)


def unreadable(samples: Samples) -> Samples:
    """Raises AssertionError where they are read."""

    def prepare(raw: Tensor, draws: Tensor | None) -> Tensor:
        raise AssertionError("these samples must not be read")

    return replace(samples, prepare=prepare)
