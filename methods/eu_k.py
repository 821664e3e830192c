"""EU-k: train the last layers from scratch, on what the others have learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from methods.cf_k import only_last_layers
from methods.method import Method, Range, hyperparameter
from methods.task import Task


@dataclass(frozen=True)
class EUk(Method):
    """Put the last k layers back to their initial values and train them on the retain set; the others are frozen.

    Exactly unlearn the last k. Layers are counted as in `CFk`; training is the original's recipe. Of the original
    nothing is kept but the parameters of the frozen layers: running statistics of BatchNorm start anew everywhere. With
    k of all layers this is `Retrain`.

    Worth trying as the exact end of the scale that `CFk` approximates: the last k layers have never seen the forget
    set, and what is left of it is in the frozen ones.

    Public code (Evaluating-Inexact-Unlearning, src/methods.py) draws new initial weights (Kaiming, biases 0)
    and leaves those layers' BatchNorm as it was.
    """

    name: ClassVar[str] = "eu-k"
    source: ClassVar[str] = "Goel et al., 2022 (arXiv:2201.06640)"
    family: ClassVar[str] = "retraining"
    needs: ClassVar[str] = "retain"
    cost: ClassVar[str] = "(epochs or training_epochs) * n_r"

    k: int = hyperparameter(3, "layers that are retrained, counted from the last", search=Range(1, 10), ge=1)
    epochs: int | None = hyperparameter(None, "passes over the retain set; as many as the original's if null", ge=1)

    def unlearn(self, task: Task) -> nn.Module:
        model = task.build()
        with only_last_layers(model, self.k) as frozen:
            kept = {id(weight) for weight in frozen}
            with torch.no_grad():
                for name, weight in model.named_parameters():
                    if id(weight) in kept:
                        weight.copy_(task.model.get_parameter(name))
            return task.fit(model, task.retain, epochs=self.epochs)
