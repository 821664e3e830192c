"""UAM here and in torchunlearn 0.1.0, side by side: python benchmarks/peer.py --peer-python PATH [--small].

A UAM step with no Hessian term, rho = 2 and its cosine, on ResNet-18 with images of CIFAR-10's shape, and an epoch of
such steps with each one's own data path: here, batches cut from a tensor on the device; there, data loaders of
torchvision transforms over PIL images. PATH is the Python of an environment with torchunlearn and the same torch. Its
wheel lacks its trainers, so its minimizer, `torchunlearn.optim.minimizer.UAM`, is driven as they drive it: its step
takes forget and retain samples through the ascent pass together. The two sides run in turns. Targets: 2.5 times as
fast on a CPU in float32, 5 times in bfloat16, 5 times on a GPU.
"""

import json
import math
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer
from machine import machine
from step import bare_passes, timed

from methods import UAM, Samples, Task, trainable
from sweep.tasks.image_tensors import augmentation, preparation
from sweep.tasks.models import MODELS, initialised
from sweep.trial.training import autocast_context

TARGETS = {"float32": 2.5, "bfloat16": 5.0}
RHO = 2.0


def main(
    peer_python: Annotated[str, typer.Option(metavar="PATH", help="Python with torchunlearn 0.1.0.")] = "python",
    model: Annotated[str, typer.Option(help="Any model of `sweep.tasks.models`.")] = "resnet18",
    batch_size: Annotated[int, typer.Option(help="Samples of each of the two batches.")] = 128,
    steps: Annotated[int, typer.Option(help="Steps of the epoch.")] = 2,
    rounds: Annotated[int, typer.Option(help="Turns.")] = 2,
    small: Annotated[bool, typer.Option(help="Only see that it runs.")] = False,
) -> None:
    if small:
        model, batch_size, steps, rounds = "resnet8", 16, 2, 1
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"{machine()}; {torch.get_num_threads()} threads, {model}, batch size {batch_size}, {steps} steps an epoch")
    passes = timed(repeated(bare_passes(model, "float32", batch_size, device)), device) / 4
    print(f"one bare forward+backward pass, channels_last, float32: {passes:.2f} s")
    found: dict[str, list[tuple[float, float]]] = {"torchunlearn": []} | {name: [] for name in TARGETS}
    for _ in range(rounds):
        found["torchunlearn"].append(peer(peer_python, model, batch_size, steps))
        for precision in TARGETS:
            found[precision].append(ours(model, precision, batch_size, steps, device))
    best = {name: [min(values) for values in zip(*times, strict=True)] for name, times in found.items()}
    print(f"{'':22} {'step':>9} {'ratio':>6}   {'epoch':>9} {'ratio':>6}")
    for name, (step, epoch) in best.items():
        ratios = [there / here for there, here in zip(best["torchunlearn"], (step, epoch), strict=True)]
        label = name if name == "torchunlearn" else f"here, {name}"
        target = f"   (target {TARGETS[name]})" if name in TARGETS else ""
        print(f"{label:22} {step:7.2f} s {ratios[0]:6.2f}   {epoch:7.2f} s {ratios[1]:6.2f}{target}")


def repeated(action: Callable[[], object]) -> Callable[[], object]:
    """Once to warm up, which is not measured; then twice."""
    action()
    return lambda: [action(), action()]


def images(batch_size: int, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random images and labels of CIFAR-10's shape, the same on both sides."""
    random = torch.Generator().manual_seed(0)
    count = batch_size * steps
    return (
        torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, generator=random),
        torch.randint(10, (count,), generator=random),
    )


def ours(model_name: str, precision: str, batch_size: int, steps: int, device: torch.device) -> tuple[float, float]:
    """Seconds of a step on batches that are there, and of an epoch."""
    inputs, labels = (tensor.to(device) for tensor in images(batch_size, steps))
    index = torch.arange(len(labels), device=device)
    samples = Samples(
        inputs, labels, index, preparation([127.5] * 3, [64.0] * 3, 4, device), augmentation(4, flip=True)
    )
    model = initialised(MODELS[model_name], 10, 3, {}, 0, device)()
    method = UAM(epochs=1, lr=0.01, rho=RHO, hessian="none", batch_size=batch_size)
    task = Task(model, samples, samples, 10, 0, lambda: model, None, autocast=autocast_context(precision, device))
    batch = next(samples.epoch(batch_size, torch.Generator()))
    optimizer = torch.optim.SGD(trainable(model.train()), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        method.gradients(task, batch, batch, 0.5)
        optimizer.step()

    step()
    return statistics.median(timed(step, device) for _ in range(3)), timed(lambda: method.unlearn(task), device)


def peer(python: str, model: str, batch_size: int, steps: int) -> tuple[float, float]:
    """The same through torchunlearn, by this file, in its Python."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "seconds.json"
        arguments = json.dumps([model, batch_size, steps, torch.get_num_threads(), str(out)])
        code = f"import peer; peer.in_peer(*{arguments})"
        here = Path(__file__).parent
        path = os.pathsep.join([str(here), str(here.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
        subprocess.run([python, "-c", code], check=True, env=os.environ | {"PYTHONPATH": path})
        step, epoch = json.loads(out.read_text())
    return step, epoch


def in_peer(model_name: str, batch_size: int, steps: int, threads: int, out: str) -> None:
    """Measure torchunlearn's minimizer; runs in the environment that has it."""
    from torch.utils.data import DataLoader
    from torchunlearn.optim import minimizer as torchunlearn
    from torchvision import transforms

    torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = MODELS[model_name](10, 3).to(device).train()
    minimizer = torchunlearn.UAM(
        model, torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4), rho=RHO
    )
    transform = transforms.Compose(
        [
            transforms.ToPILImage(),
            transforms.RandomCrop(32, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize([0.5] * 3, [0.25] * 3),
        ]
    )
    inputs, labels = images(batch_size, steps)
    data = [(image, int(label)) for image, label in zip(inputs, labels, strict=True)]

    def collate(samples: list) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.stack([transform(image) for image, _ in samples]), torch.tensor([label for _, label in samples])

    def cost(batch: tuple[torch.Tensor, torch.Tensor], reduction: str | None = "mean") -> torch.Tensor:
        return torch.nn.functional.cross_entropy(model(batch[0]), batch[1], reduction=reduction or "none")

    def on_device(batch: list) -> tuple[torch.Tensor, ...]:
        return tuple(tensor.to(device) for tensor in batch)

    def epoch() -> None:
        loaders = [DataLoader(data, batch_size, shuffle=True, collate_fn=collate) for _ in range(2)]
        for step, (retain, forget) in enumerate(zip(*loaders, strict=True)):
            minimizer.rho = RHO * 0.5 * (1 + math.cos(math.pi * step / steps))
            minimizer.step(cost, {"Retain": on_device(retain), "Forget": on_device(forget)})

    batch = on_device(collate(data[:batch_size]))

    def step() -> None:
        minimizer.step(cost, {"Retain": batch, "Forget": batch})

    step()
    seconds = [statistics.median(timed(step, device) for _ in range(3)), timed(epoch, device)]
    Path(out).write_text(json.dumps(seconds))


if __name__ == "__main__":
    typer.run(main)
