"""Relearning: a copy of an unlearned model is fine-tuned, to see how much of the forget set it still holds."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import torch
from torch import nn

from methods import Diverged, Recorder, Task, trainable
from methods.descent import batchnorm_layers
from methods.finetune import FineTune
from methods.task import derived_seed
from sweep.store.relearning import Relearning
from sweep.store.results import Relearned
from sweep.tasks.kind import Evaluation
from sweep.trial.rows import measured, prediction_rows

MOMENTUM = 0.9

Judge = Callable[[nn.Module], Evaluation]


def relearn(
    trial_id: str,
    unlearned: nn.Module,
    task: Task,
    recipe: Relearning,
    before: Evaluation,
    forgotten: Judge,
    whole: Judge,
    keep: bool,
) -> Relearned:
    """Fine-tune a copy of `unlearned` with the task's optimizer, at a constant learning rate and without weight decay.

    Of every method of a seed it sees the same batches. Parameters learn that require a gradient in what the method
    returned. BatchNorm is treated as `Descent` says: on the retain set by batches, its statistics estimated anew where
    the model is judged; on the forget set it stays as it is.

    Args:
        task: the one that was unlearned; its model is not used.
        before: what the trial's own evaluation found.
        forgotten: judges the forget set alone; called at each point of the path but the last.
        whole: judges all parts.
        keep: whether to keep what the relearned model says of the forget set.
    """
    model = copy.deepcopy(unlearned)
    task = replace(task, model=model, seed=derived_seed(task.seed, "relearning"), recorder=Recorder())
    torch.manual_seed(derived_seed(task.seed, "network"))
    started, path = time.perf_counter(), list[dict[str, Any]]()

    def note(epoch: int, step: int, found: Evaluation) -> None:
        at = {"epoch": epoch, "step": step, "seconds": time.perf_counter() - started}
        path.append(at | measured(found.metrics))

    def relearned(status: str, predictions: pa.Table | None) -> Relearned:
        return Relearned(recipe, [point | {"status": status} for point in path], predictions)

    note(0, 0, before)
    on_forget_set = recipe.data == "forget"
    samples = task.forget if on_forget_set else task.retain
    steps = samples.steps(recipe.batch_size)
    settling = FineTune(batch_size=recipe.batch_size)
    weights = trainable(model)
    optimizer = task.optimizer(weights, lr=recipe.lr, momentum=MOMENTUM, weight_decay=0.0) if weights else None
    batches, last = task.generator("batches"), Evaluation({}, ())
    try:
        for epoch in range(1, recipe.epochs + 1):
            for number, batch in enumerate(samples.epoch(recipe.batch_size, batches), start=1):
                step = (epoch - 1) * steps + number
                model.train()
                if on_forget_set:
                    for layer in batchnorm_layers(model):
                        layer.eval()
                if optimizer is not None:
                    optimizer.zero_grad(set_to_none=True)
                    task.loss(model, batch).backward()
                    optimizer.step()
                if on_forget_set or number == steps:
                    if not on_forget_set:
                        settling.settle(model, task.retain, task)
                    last = whole(model) if step == recipe.epochs * steps else forgotten(model)
                    note(epoch, step, last)
    except Diverged:
        note(epoch, step, Evaluation({}, ()))
        return relearned("diverged", None)
    parts = [part for part in last.kept if part[0] == "forget"]
    return relearned("ok", prediction_rows(trial_id, parts) if keep and parts else None)
