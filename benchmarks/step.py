"""What a UAM step costs beside its two passes: python benchmarks/step.py [--small].

A step of UAM (`hessian: projection`) as a trial takes it, its batches drawn and augmented, divided by two bare
forward+backward passes over a batch that is there, and one optimizer step: same model, batch size, layout, precision
and deterministic convolutions, in turns in one process. What a trial does once at its end, estimating BatchNorm's
running statistics on at most `SETTLING_SAMPLES` samples, is no part of a step. Target: 1.10 at most.
"""

import statistics
import time
from collections.abc import Callable
from typing import Annotated

import torch
import typer
from machine import machine

from methods import UAM, Samples, Task, trainable
from sweep.tasks.image_tensors import augmentation, preparation
from sweep.tasks.models import MODELS, initialised
from sweep.trial.device import synchronise
from sweep.trial.training import autocast_context

TARGET = 1.10


def main(
    models: Annotated[str, typer.Option(help="Comma-separated.")] = "small-cnn,resnet8,resnet18",
    batch_size: Annotated[int, typer.Option(help="Samples of each of the two batches.")] = 128,
    precisions: Annotated[str, typer.Option(help="Comma-separated: float32, bfloat16.")] = "float32,bfloat16",
    seconds: Annotated[float, typer.Option(help="About how long to measure each line.")] = 30.0,
    threads: Annotated[int, typer.Option(help="Torch threads; 0: all cores.")] = 0,
    small: Annotated[bool, typer.Option(help="Only see that it runs.")] = False,
) -> None:
    if small:
        models, batch_size, precisions, seconds = "small-cnn,resnet8", 16, "float32", 1.0
    if threads:
        torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic = True  # as in a trial
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"{machine()}; {torch.get_num_threads()} threads, batch size {batch_size}, images of 3 x 32 x 32")
    print(f"{'model':10} {'precision':10} {'UAM step':>12} {'bare passes':>12} {'ratio':>7}   (target {TARGET:.2f})")
    for name in models.split(","):
        for precision in precisions.split(","):
            step, bare, ratio = measure(name, precision, batch_size, device, seconds)
            print(f"{name:10} {precision:10} {1000 * step:9.1f} ms {1000 * bare:9.1f} ms {ratio:7.3f}")


def measure(name: str, precision: str, batch_size: int, device: torch.device, seconds: float) -> tuple[float, ...]:
    """Seconds of a UAM step, seconds of two bare passes, and the median of their ratios over the turns."""
    bare = bare_passes(name, precision, batch_size, device)
    bare()
    count = max(1, round(0.3 / timed(bare, device)))
    epoch = uam_steps(name, precision, batch_size, device, count)
    epoch()
    steps, passes, ends = [], [], time.perf_counter() + seconds
    while len(steps) < 3 or time.perf_counter() < ends:
        steps.append(timed(epoch, device) / count)
        passes.append(timed(lambda: [bare() for _ in range(count)], device) / count)
    ratios = [step / bare for step, bare in zip(steps, passes, strict=True)]
    return statistics.median(steps), statistics.median(passes), statistics.median(ratios)


def uam_steps(name: str, precision: str, batch_size: int, device: torch.device, steps: int) -> Callable[[], object]:
    """The steps of an epoch over data on the device, each with its batches drawn, cropped and flipped."""
    images = torch.randint(256, (batch_size * steps, 3, 32, 32), dtype=torch.uint8).to(device)
    labels = torch.randint(10, (len(images),)).to(device)
    index = torch.arange(len(images), device=device)
    prepare = preparation([127.5] * 3, [64.0] * 3, 4, device)
    samples = Samples(images, labels, index, prepare, augmentation(4, flip=True))
    model = initialised(MODELS[name], 10, 3, {}, 0, device)().train()
    method = UAM(epochs=1, lr=1e-4, rho=0.1, hessian="projection", batch_size=batch_size)
    autocast = autocast_context(precision, device)
    task = Task(model, samples, samples, 10, 0, lambda: model, None, autocast=autocast)
    optimizer = torch.optim.SGD(trainable(model), lr=method.lr, momentum=0.9, weight_decay=5e-4)
    retain_random, forget_random = task.generator("retain"), task.generator("forget")

    def epoch() -> None:
        batches = zip(samples.epoch(batch_size, retain_random), samples.epoch(batch_size, forget_random), strict=True)
        for retain, forget in batches:
            optimizer.zero_grad(set_to_none=True)
            method.gradients(task, retain, forget, 0.0)
            optimizer.step()

    return epoch


def bare_passes(name: str, precision: str, batch_size: int, device: torch.device) -> Callable[[], object]:
    """Two forward+backward passes over one batch that is there, and an optimizer step."""
    model = initialised(MODELS[name], 10, 3, {}, 0, device)().train()
    inputs = torch.randn(batch_size, 3, 32, 32).to(device).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (batch_size,)).to(device)
    autocast = autocast_context(precision, device)
    optimizer = torch.optim.SGD(trainable(model), lr=1e-4, momentum=0.9, weight_decay=5e-4)

    def passes() -> None:
        for _ in range(2):
            optimizer.zero_grad(set_to_none=True)
            with autocast():
                outputs = model(inputs)
            torch.nn.functional.cross_entropy(outputs.float(), labels).backward()
        optimizer.step()

    return passes


def timed(action: Callable[[], object], device: torch.device) -> float:
    """Seconds of the clock."""
    synchronise(device)
    began = time.perf_counter()
    action()
    synchronise(device)
    return time.perf_counter() - began


if __name__ == "__main__":
    typer.run(main)
