"""Training of originals, and of Retrain, which follows the same recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack, nullcontext

import torch
from torch import Tensor, nn

from methods import trainable
from methods.task import Recorder, Samples, batch_bounds, derived_seed
from sweep.tasks.recipes import Recipe


def autocast_context(precision: str, device: torch.device) -> Callable[[], AbstractContextManager[object]]:
    """The context in which forward passes run; see `computed_in`."""
    if computed_in(precision, device) == "bfloat16":
        return lambda: torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext


def computed_in(precision: str, device: torch.device) -> str:
    """What a device computes in under `precision`: bfloat16 (autocast), tf32 (`device.set_arithmetic`) or float32.

    `auto` means bfloat16 on GPUs that compute in it, and float32 elsewhere. `bfloat16` is that on any device. `tf32` is
    float32 on a CPU.
    """
    if precision == "auto":
        capable = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return "bfloat16" if capable else "float32"
    return "float32" if precision == "tf32" and device.type != "cuda" else precision


def train(
    model: nn.Module,
    samples: Samples,
    recipe: Recipe,
    *,
    seed: int,
    criterion: Callable[[Tensor, Tensor], Tensor],
    autocast: Callable[[], AbstractContextManager[object]],
    recorder: Recorder,
    epochs: int | Callable[[int], int] | None = None,
    stream: str = "",
) -> nn.Module:
    """Train `model` on `samples` in place; return it in evaluation mode. See `methods.task.Fit`.

    Raises:
        Diverged: the mean loss of an epoch is not finite.
    """
    epochs = epochs(recipe.epochs) if callable(epochs) else recipe.epochs if epochs is None else epochs
    name = f"training/{stream}" if stream else "training"
    path = Recorder() if stream else recorder
    with ExitStack() as stack:
        if stream:
            device = samples.index.device
            stack.enter_context(torch.random.fork_rng([device] if device.type == "cuda" else []))
            torch.manual_seed(derived_seed(seed, f"{name}/network"))
        model.train()
        generator = torch.Generator().manual_seed(derived_seed(seed, name))
        steps_per_epoch = samples.steps(recipe.batch_size)
        trained = trainable(model)
        optimizer = recipe.optimizer(trained)
        scheduler = recipe.scheduler(optimizer, epochs * steps_per_epoch)
        step = 0
        for epoch in range(1, epochs + 1):
            total = torch.zeros((), device=samples.index.device)
            for inputs, targets in samples.epoch(recipe.batch_size, generator):
                with autocast():
                    outputs = model(inputs)
                loss = criterion(outputs.float(), targets)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                recipe.limit_gradients(trained)
                optimizer.step()
                scheduler.step()
                total += loss.detach()
                path.count(len(targets))
                step += 1
            probed = model if epoch < epochs else None
            path.record(epoch=epoch, step=step, model=probed, retain_loss=total / steps_per_epoch)
    if stream:
        recorder.count(path.samples_processed)
    return model.eval()


def rehearse(
    model: nn.Module,
    parts: Iterable[Samples],
    batch_size: int,
    criterion: Callable[[Tensor, Tensor], Tensor],
    autocast: Callable[[], AbstractContextManager[object]],
) -> None:
    """Run one batch of each size that an epoch has forward and backward through `model`. It is useless afterwards.

    A GPU's libraries choose algorithms at the first batch of each size. That takes seconds, which should not count as
    the trial's. A batch of a single sample is left out, because not every network trains on it.
    """
    model.train()
    for part in parts:
        for size in sorted({stop - start for start, stop in batch_bounds(len(part), batch_size)} - {1}):
            inputs, targets = next(part.in_order(size))
            with autocast():
                outputs = model(inputs)
            criterion(outputs.float(), targets).backward()
