"""Several trials in one program: python benchmarks/batched.py [--small].

A step of UAM (`hessian: scalar`) for K models that differ in rho, with their weights stacked and `torch.func.vmap` over
them, and the same K steps one after another as trials take them: same batches, same threads, in turns in one process.
Prints seconds per model and step, and the largest difference between the weights that the two arrive at.
"""

import statistics
from collections.abc import Callable
from typing import Annotated

import torch
import typer
from machine import machine
from step import timed
from torch import Tensor
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.nn.functional import cross_entropy

from methods import UAM, Batch, Recorder, Samples, Task, trainable
from sweep.models import MODELS, initialised

LR, MOMENTUM, DECAY, GAMMA = 0.01, 0.9, 5e-4, 1.7
SHAPES = {"small-cnn": (1, 8, 8), "resnet8": (3, 32, 32)}


def main(
    models: Annotated[str, typer.Option(help="Comma-separated: small-cnn, resnet8.")] = "small-cnn,resnet8",
    together: Annotated[str, typer.Option(help="Models in one program, comma-separated.")] = "2,4,8",
    batch_size: Annotated[int, typer.Option(help="Samples of each of the two batches.")] = 64,
    rounds: Annotated[int, typer.Option(help="Turns.")] = 5,
    threads: Annotated[int, typer.Option(help="Torch threads.")] = 1,
    small: Annotated[bool, typer.Option(help="Only see that it runs.")] = False,
) -> None:
    if small:
        models, together, batch_size, rounds = "small-cnn", "2", 8, 1
    torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"{machine()}; {threads} threads, batch size {batch_size}")
    print(f"{'model':10} {'together':>8} {'one by one':>12} {'vmap':>12} {'times as fast':>13} {'difference':>11}")
    for name in models.split(","):
        for count in map(int, together.split(",")):
            each, batched, difference = measure(name, count, batch_size, rounds, device)
            ms = [f"{1000 * seconds / count:9.1f} ms" for seconds in (each, batched)]
            print(f"{name:10} {count:8} {ms[0]} {ms[1]} {each / batched:13.2f} {difference:11.1e}", flush=True)


def measure(name: str, count: int, batch_size: int, rounds: int, device: torch.device) -> tuple[float, float, float]:
    """Seconds of `count` steps one by one and in one program, and the difference between the weights after one step."""
    shape = SHAPES[name]
    batches: list[Batch] = [
        (
            torch.randn(batch_size, *shape, device=device).contiguous(memory_format=torch.channels_last),
            torch.randint(10, (batch_size,), device=device),
        )
        for _ in range(2)
    ]
    rhos = [0.5 * (1 + place) for place in range(count)]
    build = [initialised(MODELS[name], 10, shape[0], {}, seed, device) for seed in range(count)]
    singles = [single_step(make().train(), rho, *batches) for make, rho in zip(build, rhos, strict=True)]
    stacked, weights = stacked_step([with_mean(make().train()) for make in build], rhos, *batches)
    reached = [single() for single in singles]
    stacked()
    expected = [torch.stack(parts) for parts in zip(*reached, strict=True)]
    difference = max(float((left - right).abs().max()) for left, right in zip(expected, weights, strict=True))
    each, batched = [], []
    for _ in range(rounds):
        each.append(timed(lambda: [single() for single in singles], device))
        batched.append(timed(stacked, device))
    return statistics.median(each), statistics.median(batched), difference


class Mean(torch.nn.Module):
    """Global average pooling that vmap has a rule for."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True)


def with_mean(model: torch.nn.Module) -> torch.nn.Module:
    """The model with its global pooling replaced; it computes the same."""
    for name, layer in model.named_children():
        if isinstance(layer, torch.nn.AdaptiveAvgPool2d):
            setattr(model, name, Mean())
    return model


def single_step(model: torch.nn.Module, rho: float, retain: Batch, forget: Batch) -> Callable[[], list[Tensor]]:
    """A step as a trial takes it; returns the weights."""
    method = UAM(epochs=1, lr=LR, rho=rho, gamma=GAMMA, rho_schedule="constant")
    nothing = Samples(retain[0], retain[1], torch.arange(0), lambda inputs, _: inputs)
    task = Task(model, nothing, nothing, 10, 0, lambda: model, None, recorder=Recorder())
    weights = trainable(model)
    optimizer = torch.optim.SGD(weights, lr=LR, momentum=MOMENTUM, weight_decay=DECAY)

    def step() -> list[Tensor]:
        optimizer.zero_grad(set_to_none=True)
        method.gradients(task, retain, forget, 0.0)
        optimizer.step()
        return [weight.detach() for weight in weights]

    return step


def stacked_step(
    models: list[torch.nn.Module], rhos: list[float], retain: Batch, forget: Batch
) -> tuple[Callable[[], None], list[Tensor]]:
    """The same step of all models at once; and the stacked weights, which it changes in place."""
    weights, buffers = stack_module_state(models)
    weights = {name: weight.detach() for name, weight in weights.items()}
    velocity = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    radii = torch.tensor(rhos, device=retain[0].device)

    def loss(chosen: dict[str, Tensor], state: dict[str, Tensor], batch: Batch) -> Tensor:
        return cross_entropy(functional_call(models[0], (chosen, state), (batch[0],)), batch[1])

    gradient = grad_and_value(loss)

    def direction(chosen: dict[str, Tensor], state: dict[str, Tensor], rho: Tensor) -> dict[str, Tensor]:
        ascent, _ = gradient(chosen, {name: value.clone() for name, value in state.items()}, forget)
        norm = sum((part * part).sum() for part in ascent.values()).sqrt()
        unit = {name: part / norm for name, part in ascent.items()}
        moved = {name: part + rho * unit[name] for name, part in chosen.items()}
        descent, _ = gradient(moved, state, retain)
        along = sum((part * unit[name]).sum() for name, part in descent.items())
        return {name: (1 + GAMMA) * part - GAMMA * along * unit[name] for name, part in descent.items()}

    batched = vmap(direction)

    def step() -> None:
        for name, part in batched(weights, buffers, radii).items():
            part.add_(weights[name], alpha=DECAY)
            velocity[name].mul_(MOMENTUM).add_(part)
            weights[name].sub_(velocity[name], alpha=LR)

    return step, list(weights.values())


if __name__ == "__main__":
    typer.run(main)
