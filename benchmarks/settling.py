"""On how many samples BatchNorm's statistics are estimated well: python benchmarks/settling.py PATH [--small].

Trains a network briefly on the images at PATH (the hubs' Parquet layout), lets methods unlearn a tenth of them, and
estimates the running statistics of each result on more and more samples of the retain set, in several orders with crops
and flips of their own. Each line is how far statistics and answers are, on average, from those of the whole retain
set. Two lines are for comparison: the whole retain set in other orders, which no number of samples can better, and the
running averages that training leaves behind, by which the original and Retrain are judged.
"""

import copy
from itertools import islice
from typing import Annotated

import numpy as np
import torch
import typer
from machine import machine
from torch import Tensor, nn

from methods import METHODS, Recorder, Samples, Task
from methods.descent import batchnorm_layers, estimate_running_statistics
from sweep.tasks.classification import Classification
from sweep.tasks.datasets import DATASETS
from sweep.tasks.evaluation import Predictions, accuracy, predict
from sweep.tasks.models import MODELS, initialised
from sweep.tasks.recipes import TrainingSpec
from sweep.trial.training import autocast_context, train

BATCH = 64
LEFT_BEHIND = 100
"""Batches whose running averages are looked at: of those before, 0.9 ** 100 is left."""
PLAIN = autocast_context("float32", torch.device("cpu"))

Seen = tuple[Tensor, Tensor, Predictions]
"""Mean and variance of every channel that is normalised, and what the network says of test images."""


def main(
    path: Annotated[str, typer.Argument(help="Directory with train and test files.")] = "",
    model: Annotated[str, typer.Option(help="Network.")] = "resnet8",
    methods: Annotated[str, typer.Option(help="Comma-separated.")] = "finetune,uam",
    samples: Annotated[str, typer.Option(help="Comma-separated.")] = "512,1024,2048,4096,8192",
    epochs: Annotated[int, typer.Option(help="Of training.")] = 3,
    orders: Annotated[int, typer.Option(help="Draws of each number of samples.")] = 4,
    limit: Annotated[int, typer.Option(help="Training images.")] = 50_000,
    tested: Annotated[int, typer.Option(help="Test images.")] = 5000,
    small: Annotated[bool, typer.Option(help="Only see that it runs, on digits.")] = False,
) -> None:
    if small:
        model, methods, samples, epochs, orders = "small-cnn", "finetune", "128", 1, 2
    images = (DATASETS["digits"]() if small else DATASETS["parquet"](path=path)).load()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    augmented = {"limit": limit, "label_noise": 0.0, "validation": 0.0, "crop": 0 if small else 4, "flip": not small}
    data = Classification().on_device(images, augmented, device)
    parts = data.split(0, {"ratio": 0.1})
    retain, forget = data.train(parts.retain), data.train(parts.forget)
    test = data.test().subset(torch.arange(min(tested, len(data.test_targets))))
    build = initialised(MODELS[model], data.classes, data.inputs, {}, 0, device)
    original = fit(build(), data.train(parts.training), epochs)
    print(f"{machine()}; {torch.get_num_threads()} threads; {model}, batches of {BATCH}, {orders} orders, ", end="")
    print(
        f"{len(test):,} test images; accuracy of the original {accuracy(predict(original, test)):.2f} %\n",
        flush=True,
    )
    print("| method | samples | mean / deviation | variance | logits / deviation | other answers | accuracy |")
    print("|---|---|---|---|---|---|---|")
    for name in methods.split(","):
        task = Task(copy.deepcopy(original), retain, forget, data.classes, 0, build, fit)
        unlearned = METHODS[name](epochs=1).unlearn(task)
        reference = seen(unlearned, retain, len(retain), 0, test)
        for count in [*map(int, samples.split(",")), len(retain), None]:
            found = [seen(unlearned, retain, count, 1 + order, test) for order in range(orders)]
            words = "running averages" if count is None else f"{'all ' if count == len(retain) else ''}{count:,}"
            print(f"| {name} | {words} | {distances(found, reference)} |", flush=True)


def fit(model: nn.Module, samples: Samples, epochs: int) -> nn.Module:
    recipe = TrainingSpec(epochs=epochs, schedule="one-cycle", batch_size=BATCH)
    return train(
        model, samples, recipe, seed=0, criterion=nn.functional.cross_entropy, autocast=PLAIN, recorder=Recorder()
    )


def seen(model: nn.Module, retain: Samples, count: int | None, order: int, test: Samples) -> Seen:
    """With statistics of the first `count` retain samples of an order; None: with running averages."""
    batches = (inputs for inputs, _ in retain.epoch(BATCH, torch.Generator().manual_seed(order)))
    if count is None:
        model.train()
        with torch.no_grad():
            for inputs in islice(batches, LEFT_BEHIND):
                model(inputs)
    else:
        estimate_running_statistics(model, islice(batches, -(-count // BATCH)))
    means = torch.cat([layer.running_mean for layer in batchnorm_layers(model)])
    variances = torch.cat([layer.running_var for layer in batchnorm_layers(model)])
    return means, variances, predict(model, test)


def distances(found: list[Seen], reference: Seen) -> str:
    """Root mean squares over channels, samples and draws; of accuracies also the largest."""
    rows, (means, variances, said) = [], reference
    for mean, variance, answers in found:
        rows.append(
            (
                ((mean - means) ** 2 / variances).mean().item(),
                ((variance / variances - 1) ** 2).mean().item(),
                ((answers.outputs - said.outputs) ** 2).mean().item() / said.outputs.var().item(),
                (answers.outputs.argmax(1) != said.outputs.argmax(1)).double().mean().item(),
                accuracy(answers) - accuracy(said),
            )
        )
    table = np.array(rows)
    mean, variance, logits = np.sqrt(table[:, :3].mean(axis=0))
    change = table[:, 4]
    cells = [f"{mean:.4f}", f"{variance:.4f}", f"{logits:.4f}", f"{100 * table[:, 3].mean():.2f} %"]
    return " | ".join([*cells, f"{np.sqrt((change**2).mean()):.3f}, at most {np.abs(change).max():.2f}"])


if __name__ == "__main__":
    typer.run(main)
