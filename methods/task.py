"""What a method is given: data, model, loss, recipe, randomness, and a recorder of cost and path."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

Batch = tuple[Tensor, Tensor]
"""Inputs [B, ...] as the network takes them, and targets [B, ...]."""


class Diverged(RuntimeError):
    """A loss or a weight stopped being finite."""


class Unsuitable(ValueError):
    """A method cannot be used on this network or forget request, or would need too much memory. Says why in one line.

    Raised before anything is computed: the trial counts as failed, and is not tried again.
    """


@dataclass(frozen=True)
class Samples:
    """A subset of a data set that lies on the device as one tensor; a subset copies no sample.

    Attributes:
        inputs: raw inputs of the whole data set, [N, ...] (uint8 [N, C, H, W] for images).
        targets: targets of the whole data set, [N, ...] (int64 [N] for classification).
        index: rows of this subset, int64 [n].
        prepare: raw inputs [B, ...] and their augmentation draws [B, k] (None: no augmentation) -> network inputs.
        draw: (n, generator) -> the random numbers [n, k] that augment n samples; None where nothing is augmented.
        bounds: the lowest and the highest value that `prepare` gives, [1, C, 1, 1] each: images of raw 0 and 255. None
            for inputs that have no such range.
    """

    inputs: Tensor
    targets: Tensor
    index: Tensor
    prepare: Callable[[Tensor, Tensor | None], Tensor]
    draw: Callable[[int, torch.Generator], Tensor] | None = None
    bounds: tuple[Tensor, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.index)

    def epoch(self, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
        """One shuffled, augmented pass.

        Every sample appears once. A last batch of a single sample joins the one before it: BatchNorm cannot train on
        one sample. All random numbers of the pass are drawn on the CPU first, so that they are the same on every
        device and cost one transfer.
        """
        count = len(self)
        order = self.index[sent(torch.randperm(count, generator=generator), self.index.device)]
        draws = None if self.draw is None else sent(self.draw(count, generator), self.index.device)
        for start, stop in batch_bounds(count, batch_size):
            rows = order[start:stop]
            drawn = None if draws is None else draws[start:stop]
            yield self.prepare(self.inputs[rows], drawn), self.targets[rows]

    def endless(self, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
        """Shuffled, augmented passes without end."""
        while True:
            yield from self.epoch(batch_size, generator)

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """One pass in the order of `index`, without augmentation."""
        for start in range(0, len(self), batch_size):
            rows = self.index[start : start + batch_size]
            yield self.prepare(self.inputs[rows], None), self.targets[rows]

    def steps(self, batch_size: int) -> int:
        """Number of batches in one `epoch`."""
        return len(batch_bounds(len(self), batch_size))

    def subset(self, rows: Tensor) -> Samples:
        """The samples at `rows` (positions in this subset, int64)."""
        return replace(self, index=self.index[rows.to(self.index.device)])

    def with_targets(self, targets: Tensor) -> Samples:
        """The same samples with other targets [n, ...], in the order of `index`."""
        everyone = self.targets.clone()
        everyone[self.index] = targets.to(everyone)
        return replace(self, targets=everyone)


def sent(drawn: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU's on the device, without waiting for what a GPU still has to do."""
    return (drawn.pin_memory() if device.type == "cuda" else drawn).to(device, non_blocking=True)


def batch_bounds(count: int, batch_size: int) -> list[tuple[int, int]]:
    """(start, stop) of each batch in a pass over `count` samples; see `Samples.epoch`."""
    starts = list(range(0, count, batch_size))
    if len(starts) > 1 and count - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], count], strict=True))


class Recorder:
    """Counts what unlearning costs and keeps its path.

    `rows` holds one dict per call of `record`: epoch, step, seconds and samples so far, and the values given. `notes`
    holds what a method says of its result (`note`).

    Args:
        probe: measures a model at a point of its path; its values join the row.
        every: probe only at epochs that this divides.
        tell: is given the rows so far after each `record`, to read them. Its time and the probe's are not unlearning's.
    """

    def __init__(self, probe: Probe | None = None, every: int = 1, tell: Tell | None = None) -> None:
        self.samples_processed = 0
        self.rows: list[dict[str, float]] = []
        self.notes: dict[str, str | float | list[Any]] = {}
        self.seconds_aside = 0.0
        self._before = (0, 0)
        self._probe = probe
        self._every = every
        self._tell = tell
        self._started = time.perf_counter()

    def count(self, samples: int) -> None:
        """Add `samples` forward+backward passes of one sample each."""
        self.samples_processed += samples

    def note(self, **values: str | float | list[Any]) -> None:
        """Keep what is to be said of the result, such as epsilon, delta and the assumptions that they rest on."""
        self.notes |= values

    def next_part(self) -> None:
        """From here on epochs and steps are counted from 1 again, and recorded as following those before."""
        if self.rows:
            self._before = int(self.rows[-1]["epoch"]), int(self.rows[-1]["step"])

    def record(
        self,
        *,
        epoch: int,
        step: int,
        model: nn.Module | None = None,
        settle: Callable[[], object] = lambda: None,
        **values: Tensor | float,
    ) -> None:
        """Keep one point of the path. Synchronises with the device: call it per epoch, not per step.

        `model` is what the path has led to; it is probed, and left as it was. `settle` is called before, if it is, to
        bring the model into the state in which it would be evaluated. The end of the path is probed anyway.

        Raises:
            Diverged: a value whose name ends in `loss` is not finite. The row is kept.
        """
        tensors = {key: value for key, value in values.items() if isinstance(value, Tensor)}
        numbers = {key: float(value) for key, value in values.items() if not isinstance(value, Tensor)}
        if tensors:
            moved = torch.stack([value.detach().double().reshape(()) for value in tensors.values()]).tolist()
            numbers |= dict(zip(tensors, moved, strict=True))
        epoch, step = epoch + self._before[0], step + self._before[1]
        self._append(epoch, step, numbers)
        if model is not None and self._probe is not None and epoch % self._every == 0:
            self._probe_into_last_row(model, settle)
        if self._tell is not None:
            with self._aside():
                self._tell(self.rows)
        for key, number in numbers.items():
            if key.endswith("loss") and not math.isfinite(number):
                raise Diverged(f"{key} is {number} in epoch {epoch}")

    def finish(self, model: nn.Module) -> None:
        """Probe the model that was returned, into the last row; a method without epochs counts as one."""
        if self._probe is None:
            return
        if not self.rows or self.rows[-1]["epoch"] == 0:
            self._append(1, int(self.rows[-1]["step"]) if self.rows else 0, {})
        self._probe_into_last_row(model)

    def _append(self, epoch: int, step: int, numbers: dict[str, float]) -> None:
        seconds = time.perf_counter() - self._started - self.seconds_aside
        so_far = {"epoch": epoch, "step": step, "seconds": seconds, "samples": self.samples_processed}
        self.rows.append(so_far | numbers)

    def _probe_into_last_row(self, model: nn.Module, settle: Callable[[], object] = lambda: None) -> None:
        assert self._probe is not None
        with self._aside():
            settle()
            self.rows[-1] |= self._probe(model)

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """The body's time is not unlearning's."""
        began = time.perf_counter()
        yield
        self.seconds_aside += time.perf_counter() - began


Probe = Callable[[nn.Module], dict[str, float]]
"""What is measured of a model at a point of its path; it must leave the model and all random state as they were."""

Tell = Callable[[Sequence[dict[str, float]]], object]
"""Hears a recorder's rows so far."""


class Fit(Protocol):
    """Trains a freshly built model on samples with the original's recipe, in place."""

    def __call__(
        self,
        model: nn.Module,
        samples: Samples,
        *,
        epochs: int | Callable[[int], int] | None = None,
        stream: str = "",
    ) -> nn.Module:
        """The model, trained and in evaluation mode.

        An epoch is one `samples.epoch`; the step on a batch is taken before the next batch is asked for.

        Args:
            epochs: passes over the samples, over which the learning rate runs its whole course; a function is given
                the recipe's; None: the recipe's.
            stream: names random numbers of its own: another order of the samples, another dropout. They, too, are the
                same for the same seed. A fit with such a name is a part of something larger: it is counted, and leaves
                no points of its path. Without one it is the original's or Retrain's.
        """


class Build(Protocol):
    """Builds the network, freshly initialised."""

    def __call__(self, stream: str = "") -> nn.Module:
        """The network. Of one seed and `stream`, always the same weights; without `stream`, the original's first."""


@dataclass(frozen=True)
class Task:
    """One forget request.

    Attributes:
        model: the original model, weights w0, on the device; the method owns it.
        retain, forget: D_r and D_f.
        classes: number of classes; None where targets are no classes.
        seed: the trial's seed; `generator` derives every stream from it.
        build: a freshly initialised network.
        fit: the original's training recipe.
        criterion: (outputs, targets) -> mean loss, a scalar tensor.
        optimizer: (parameters, *, lr, momentum, weight_decay) -> what takes the steps of methods that walk.
        autocast: makes the context in which forward passes run.
        recorder: cost and path.
        reference: held-out samples with their true labels, never augmented (`dataset.reference` of a spec): neither the
            validation samples that a search judges by nor test samples. None where none are held out.
    """

    model: nn.Module
    retain: Samples
    forget: Samples
    classes: int | None
    seed: int
    build: Build
    fit: Fit
    criterion: Callable[[Tensor, Tensor], Tensor] = nn.functional.cross_entropy
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.SGD
    autocast: Callable[[], AbstractContextManager[object]] = nullcontext
    recorder: Recorder = field(default_factory=Recorder)
    reference: Samples | None = None

    @property
    def class_count(self) -> int:
        """The number of classes. Raises Unsuitable where targets are no classes."""
        if self.classes is None:
            raise Unsuitable("the method needs classes, and these targets are none")
        return self.classes

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Mean loss of a batch, a scalar in at least float32."""
        return self.losses(model, batch)[0]

    def outputs(self, model: nn.Module, inputs: Tensor) -> Tensor:
        """What the model makes of inputs [B, ...], in at least float32."""
        with self.autocast():
            outputs: Tensor = model(inputs)
        return outputs.float() if outputs.dtype == torch.bfloat16 else outputs

    def losses(self, model: nn.Module, *batches: Batch) -> list[Tensor]:
        """Mean loss of each batch, in at least float32; all pass through the model as one."""
        inputs = torch.cat([inputs for inputs, _ in batches]) if len(batches) > 1 else batches[0][0]
        parts = self.outputs(model, inputs).split([len(targets) for _, targets in batches])
        return [self.criterion(part, targets) for part, (_, targets) in zip(parts, batches, strict=True)]

    def sample_losses(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss of each sample of a batch, [B], in at least float32: what the criterion says of it alone."""
        inputs, targets = batch
        alone = torch.func.vmap(lambda output, target: self.criterion(output[None], target[None]))
        losses: Tensor = alone(self.outputs(model, inputs), targets)
        return losses

    def generator(self, name: str) -> torch.Generator:
        """A new CPU generator for one purpose; the same (seed, name) always gives the same stream."""
        return torch.Generator().manual_seed(derived_seed(self.seed, name))


def derived_seed(seed: int, name: str) -> int:
    """A 63-bit seed for the purpose `name`: streams of different names, or of different seeds, are independent."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
