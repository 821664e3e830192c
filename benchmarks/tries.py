"""What might make a trial faster and what it gains: python benchmarks/tries.py [--small].

Each line compares a way that is not taken with the one that is, in turns in one process: the SGD step of other
implementations, evaluation with other batch sizes, and forward+backward passes compiled by torch.compile, with the
seconds that compiling costs.
"""

import copy
import statistics
import time
from collections.abc import Callable
from typing import Annotated

import torch
import typer
from machine import machine
from step import timed
from torch import nn
from torch.nn.functional import cross_entropy

from methods import trainable
from sweep.evaluation import EVALUATION_BATCH
from sweep.models import MODELS, initialised

SHAPES = {"small-cnn": (1, 8, 8), "resnet8": (3, 32, 32), "resnet18": (3, 32, 32)}


def main(
    models: Annotated[str, typer.Option(help="Comma-separated.")] = "small-cnn,resnet8,resnet18",
    compiled: Annotated[str, typer.Option(help="Comma-separated: models to compile.")] = "small-cnn,resnet8",
    batch_size: Annotated[int, typer.Option(help="Samples of a training batch.")] = 64,
    rounds: Annotated[int, typer.Option(help="Turns.")] = 5,
    threads: Annotated[int, typer.Option(help="Torch threads.")] = 1,
    small: Annotated[bool, typer.Option(help="Only see that it runs.")] = False,
) -> None:
    if small:
        models, compiled, batch_size, rounds = "small-cnn", "", 8, 1
    torch.set_num_threads(threads)
    print(f"{machine()}; {threads} threads, batch size {batch_size}")
    print(f"{'what':44} {'as it is':>12} {'instead':>12} {'times as fast':>13}")
    for name in models.split(","):
        model = initialised(MODELS[name], 10, SHAPES[name][0], {}, 0, torch.device("cpu"))().train()
        for way in ("foreach", "fused"):
            line(f"{name}: SGD step, {way}", sgd(model, None), sgd(model, way), rounds)
        usual = evaluation(name, model, EVALUATION_BATCH["cpu"])
        for other in (25, 200, 1000):
            line(f"{name}: evaluation, batches of {other}", usual, evaluation(name, model, other), rounds)
    for name in filter(None, compiled.split(",")):
        model = initialised(MODELS[name], 10, SHAPES[name][0], {}, 0, torch.device("cpu"))().train()
        began = time.perf_counter()
        try:
            fast = passes(name, torch.compile(copy.deepcopy(model)), batch_size)
            fast()
        except Exception as error:  # no compiler on this machine
            print(f"{name}: torch.compile failed: {str(error).strip().splitlines()[0][:60]}")
            continue
        cost = time.perf_counter() - began
        line(f"{name}: passes compiled, in {cost:.0f} s", passes(name, model, batch_size), fast, rounds)


def line(what: str, usual: Callable[[], object], other: Callable[[], object], rounds: int) -> None:
    """Print the median seconds of both, in turns."""
    cpu = torch.device("cpu")
    usual(), other()
    times = [(timed(usual, cpu), timed(other, cpu)) for _ in range(rounds)]
    first, second = (statistics.median(part) for part in zip(*times, strict=True))
    print(f"{what:44} {1000 * first:9.2f} ms {1000 * second:9.2f} ms {first / second:13.2f}", flush=True)


def sgd(model: nn.Module, way: str | None) -> Callable[[], object]:
    """Ten optimizer steps."""
    model = copy.deepcopy(model)
    for weight in trainable(model):
        weight.grad = torch.randn_like(weight)
    options = {} if way is None else {way: True}
    optimizer = torch.optim.SGD(trainable(model), lr=1e-6, momentum=0.9, weight_decay=5e-4, **options)
    return lambda: [optimizer.step() for _ in range(10)]


def evaluation(name: str, model: nn.Module, batch_size: int) -> Callable[[], object]:
    """1,000 samples (of resnet18 200), no gradients."""
    model = copy.deepcopy(model).eval()
    inputs = torch.randn(1000, *SHAPES[name]).contiguous(memory_format=torch.channels_last)
    if name == "resnet18":
        inputs = inputs[:200]

    def run() -> None:
        with torch.inference_mode():
            for part in inputs.split(batch_size):
                model(part)

    return run


def passes(name: str, model: nn.Module, batch_size: int) -> Callable[[], object]:
    """Ten forward+backward passes."""
    inputs = torch.randn(batch_size, *SHAPES[name]).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (batch_size,))

    def run() -> None:
        for _ in range(10):
            model.zero_grad(set_to_none=True)
            cross_entropy(model(inputs), labels).backward()

    return run


if __name__ == "__main__":
    typer.run(main)
