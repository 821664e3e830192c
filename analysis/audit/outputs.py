"""What a trial's model says of each part of the data, as it was stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sweep.store.results import Results

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SMALLEST_ERROR = 1e-6
"""An error below this counts as this: no logarithm of it is infinite."""


@dataclass(frozen=True, eq=False)
class Part:
    """What a model says of one part of the data, in the order of `samples`.

    Attributes:
        samples: rows in the dataset's own data, ascending, [n].
        targets: int64 [n], a class or which candidate is right; or float64 [n], numbers.
        outputs: float32 [n, C]: logits of classes, log-likelihoods of candidates; or [n, 1], numbers.
    """

    samples: Integers
    targets: NDArray[np.int64] | NDArray[np.float64]
    outputs: NDArray[np.float32]

    @property
    def numbers(self) -> bool:
        """Whether targets are numbers."""
        return bool(np.issubdtype(self.targets.dtype, np.floating))

    @cached_property
    def margins(self) -> Floats:
        """How much the model prefers each sample's own target, [n]; the more, the better it knows the sample.

        Of classes and of candidates the log odds of the right one, log p / (1 - p) (Carlini et al., S&P 2022, section
        VI-A); of numbers -log |error|.
        """
        outputs = self.outputs.astype(np.float64)
        if self.numbers:
            return -np.log(np.maximum(np.abs(outputs[:, 0] - self.targets), SMALLEST_ERROR))
        if outputs.shape[1] == 1:  # the log-likelihood of the only candidate there is
            likely = np.minimum(outputs[:, 0], -SMALLEST_ERROR)
            return likely - np.log(-np.expm1(likely))
        rows = np.arange(len(outputs))
        own = outputs[rows, self.targets]
        others = outputs.copy()
        others[rows, self.targets] = -np.inf
        highest = others.max(axis=1)
        found: Floats = own - highest - np.log(np.exp(others - highest[:, None]).sum(axis=1))
        return found

    @cached_property
    def probabilities(self) -> Floats:
        """Of each class or candidate, [n, C]; rows add up to 1."""
        outputs = self.outputs.astype(np.float64)
        powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        found: Floats = powers / powers.sum(axis=1, keepdims=True)
        return found

    @property
    def choices(self) -> bool:
        """Whether there are several classes or candidates, of which one is right."""
        return not self.numbers and self.outputs.shape[1] > 1

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Whether the model prefers the sample's own target to every other, [n]; only where there are `choices`."""
        found: NDArray[np.bool_] = self.outputs.argmax(axis=1) == self.targets
        return found

    def subset(self, rows: NDArray[np.bool_]) -> Part:
        """The samples of a mask [n]."""
        return Part(self.samples[rows], self.targets[rows], self.outputs[rows])


Model = Mapping[str, Part]
"""What a trial's model says, by part: `retain`, `forget`, `test`, ..., as in the column `split` of `predictions`."""


def read_model(results: Results, trial_id: str) -> Model | None:
    """What a trial's model says; None if nothing of it is stored that can be read, or not all of it are numbers."""
    table = results.predictions(trial_id)
    if table is None or not table.num_rows:
        return None
    parts = {str(name): _part(table.filter(pc.equal(table["split"], name))) for name in table["split"].unique()}
    return parts if all(np.isfinite(part.outputs).all() for part in parts.values()) else None


def _part(rows: pa.Table) -> Part:
    rows = rows.sort_by("sample_id")
    numbers = rows["label"].null_count == len(rows)
    outputs = rows["outputs" if numbers else "logits"].combine_chunks()
    width = len(outputs.values) // len(rows)
    return Part(
        rows["sample_id"].to_numpy(),
        rows["target" if numbers else "label"].to_numpy(),
        outputs.values.to_numpy(zero_copy_only=False).astype(np.float32).reshape(len(rows), width),
    )
