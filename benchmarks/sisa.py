"""What SISA saves: python benchmarks/sisa.py [--small].

Trains SISA's original on digits, lets it forget 1 to 3 S random samples, and compares the passes of real runs with
those of training all shards on what remains, as a table and as benchmarks/results/sisa.png. The expectation is that of
samples drawn independently: with k of them, a shard's first r slices of R are untouched with probability
(1 - r / (S R))^k, and the earliest slice touched decides which epochs are repeated.
"""

import copy
import os
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from machine import machine
from torch import nn

from methods import Recorder, Samples, Task
from methods.sisa import SISA
from methods.task import Build
from sweep.tasks.classification import Classification
from sweep.tasks.datasets import DATASETS
from sweep.tasks.device_data import DeviceData
from sweep.tasks.evaluation import accuracy, predict
from sweep.tasks.models import MODELS, initialised
from sweep.tasks.recipes import TrainingSpec
from sweep.trial.training import autocast_context, train

PLACE = Path(__file__).parent / "results" / "sisa.png"
CPU = torch.device("cpu")
PLAIN = autocast_context("float32", CPU)

Line = list[tuple[int, float, float, float, float]]
"""For each number of forgotten samples: the share saved in the mean, least and most, and its expectation."""


def main(
    cuts: Annotated[str, typer.Option(help="Shards x slices, comma-separated.")] = "5x1,5x5,10x5",
    epochs: Annotated[int, typer.Option(help="Of the training recipe.")] = 6,
    draws: Annotated[int, typer.Option(help="Forget sets of each size.")] = 3,
    picture: Annotated[Path, typer.Option()] = PLACE,
    small: Annotated[bool, typer.Option(help="Only see that it runs.")] = False,
) -> None:
    if small:
        cuts, epochs, draws = "2x2", 2, 1
    images = DATASETS["digits"]().load()
    options = {"limit": 100 if small else None, "label_noise": 0.0, "validation": 0.0, "crop": 0, "flip": False}
    data = Classification().on_device(images, options, CPU)
    build = initialised(MODELS["small-cnn"], data.classes, data.inputs, {"width": 4 if small else 8}, 0, CPU)
    everything = data.train(np.arange(len(data.splits.rows)))
    alone = fit(build(), everything, recorder=Recorder(), recipe=recipe(epochs))
    print(f"{machine()}; digits, {len(everything):,} samples, small-cnn, {epochs} epochs, {draws} forget sets each")
    print(f"test accuracy of one network {test_accuracy(alone, data):.1f} %\n")
    print(f"{'S x R':>6} {'forgotten':>9} {'saved':>6} {'least':>6} {'most':>6} {'expected':>8}")
    lines = {}
    for cut in cuts.split(","):
        method = SISA(*map(int, cut.split("x")))
        original = method.build_original(build, everything)
        original = method.train_original(original, everything, partial(fit, recorder=Recorder(), recipe=recipe(epochs)))
        for count in counts(method.shards):
            random = torch.Generator().manual_seed(count)
            found = []
            for _ in range(draws):
                chosen = torch.randperm(len(everything), generator=random)[:count]
                found.append(saved(method, original, everything, chosen, build, data.classes, epochs))
            expected = expectation(method, count, epochs)
            lines.setdefault(cut, []).append((count, float(np.mean(found)), min(found), max(found), expected))
            numbers = " ".join(
                f"{100 * share:{width}.1f}" for share, width in zip(lines[cut][-1][1:], (6, 6, 6, 8), strict=True)
            )
            print(f"{cut:>6} {count:9} {numbers}", flush=True)
        print(f"{cut:>6} test accuracy of the ensemble {test_accuracy(original, data):.1f} %", flush=True)
    draw(lines, Path(os.devnull) if small else picture)


def counts(shards: int) -> list[int]:
    """From one sample to three per shard."""
    return sorted({1, *(round(share * shards) for share in (0.4, 1, 2, 3))})


def saved(
    method: SISA,
    original: nn.Module,
    everything: Samples,
    chosen: torch.Tensor,
    build: Build,
    classes: int,
    epochs: int,
) -> float:
    """The share of the passes of training all shards on what remains that forgetting the `chosen` rows saves."""
    kept = torch.ones(len(everything), dtype=torch.bool)
    kept[chosen] = False
    passes = []
    for scratch in (False, True):
        recorder = Recorder()
        task = Task(
            model=copy.deepcopy(original),
            retain=everything.subset(kept.nonzero()[:, 0]),
            forget=everything.subset(chosen),
            classes=classes,
            seed=0,
            build=build,
            fit=partial(fit, recorder=recorder, recipe=recipe(epochs)),
            recorder=recorder,
        )
        SISA(method.shards, method.slices, from_scratch=scratch).unlearn(task)
        passes.append(recorder.samples_processed)
    return 1 - passes[0] / passes[1]


def expectation(method: SISA, count: int, epochs: int) -> float:
    """What `saved` is expected to be, for slices of equal size and few samples forgotten."""
    slices, parts = method.slices, method.shards * method.slices
    mean = 2 * epochs / (slices + 1)
    per_slice = [int((r + 1) * mean + 1e-9) - int(r * mean + 1e-9) for r in range(slices)]
    costs = [epochs_r * (r + 1) for r, epochs_r in enumerate(per_slice)]
    untouched = [(1 - r / parts) ** count for r in range(slices + 1)]
    spent = sum((untouched[r] - untouched[r + 1]) * sum(costs[r:]) for r in range(slices))
    return 1 - spent / sum(costs)


def recipe(epochs: int) -> TrainingSpec:
    return TrainingSpec(epochs=epochs, lr=0.1, batch_size=64)


def fit(model: nn.Module, samples: Samples, *, recorder: Recorder, recipe: TrainingSpec, **part: object) -> nn.Module:
    criterion = nn.functional.cross_entropy
    return train(model, samples, recipe, seed=0, criterion=criterion, autocast=PLAIN, recorder=recorder, **part)


def test_accuracy(model: nn.Module, data: DeviceData) -> float:
    return accuracy(predict(model, data.test()))


def draw(lines: dict[str, Line], place: Path) -> None:
    """The share saved over the number of forgotten samples per shard."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
    for marker, (cut, line) in zip("os^Dv", lines.items(), strict=False):
        shards, slices = map(int, cut.split("x"))
        forgotten, mean, least, most, expected = np.array(line).T
        mean, least, most, expected = (100 * share for share in (mean, least, most, expected))
        label = f"{shards} shards of {slices} slice{'s' if slices > 1 else ''}"
        bars = axes.errorbar(
            forgotten / shards, mean, [mean - least, most - mean], fmt=marker, markersize=5, capsize=2, label=label
        )
        axes.plot(forgotten / shards, expected, color=bars[0].get_color(), linewidth=1)
    axes.set(xlabel="forgotten samples per shard", ylabel="passes saved (%)", ylim=(0, 100), xlim=(0, None))
    axes.legend(frameon=False, title="mean, least and most of real runs; line: expected", title_fontsize=8, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(place, dpi=150, format="png")


if __name__ == "__main__":
    typer.run(main)
