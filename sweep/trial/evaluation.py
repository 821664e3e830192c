"""Evaluation of a model after unlearning: accuracies, membership inference, predictions per sample."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from methods.task import Samples

EVALUATION_BATCH = {"cpu": 100, "cuda": 1000}
"""Samples per forward pass of an evaluation; on a CPU few enough for its caches."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """Outputs for one part of the data, on the CPU: sample positions and labels int64 [n], logits float32 [n, C]."""

    index: Tensor
    labels: Tensor
    logits: Tensor

    @property
    def accuracy(self) -> float:
        """Percent of samples whose largest logit is that of their label."""
        return 100 * (self.logits.argmax(dim=1) == self.labels).double().mean().item()

    @property
    def confidence(self) -> Floats:
        """Probability of each sample's label, [n]."""
        probabilities = self.logits.double().softmax(dim=1)
        confidence: Floats = probabilities.gather(1, self.labels[:, None])[:, 0].numpy()
        return confidence

    def subset(self, rows: Tensor) -> Predictions:
        """The samples at `rows` (positions in this part)."""
        return Predictions(self.index[rows], self.labels[rows], self.logits[rows])

    def apart(self, label: int | None) -> tuple[Predictions, Predictions]:
        """The samples of all other labels, and those of `label`; with None, all samples and none."""
        chosen = torch.zeros(len(self.labels), dtype=torch.bool) if label is None else self.labels == label
        return self.subset(torch.where(~chosen)[0]), self.subset(torch.where(chosen)[0])


def predict(model: nn.Module, samples: Samples, autocast: Callable[[], AbstractContextManager[object]]) -> Predictions:
    """Logits of all samples, without augmentation, in evaluation mode."""
    model.eval()
    logits = []
    with torch.inference_mode(), autocast():
        for inputs, _ in samples.in_order(EVALUATION_BATCH[samples.index.device.type]):
            logits.append(model(inputs).float())
    return Predictions(samples.index.cpu(), samples.targets[samples.index].cpu(), torch.cat(logits).cpu())


def membership_inference(members: Floats, non_members: Floats, forget: Floats) -> float:
    """Membership-inference efficacy in percent (Jia et al., NeurIPS 2023): the share of D_f called non-member.

    An SVC (RBF kernel, C = 3, gamma = 1 / number of features = 1) is fitted on the confidence in the true label.

    Args:
        members: confidences on retain samples, [n].
        non_members: confidences on as many test samples, [n].
        forget: confidences on the forget set, [m].

    Raises:
        ValueError: there are not as many members as non-members.
    """
    from sklearn.svm import SVC

    if len(members) != len(non_members):
        raise ValueError(f"{len(members)} members and {len(non_members)} non-members: the attack needs equally many")
    attack = SVC(C=3.0, kernel="rbf", gamma="auto")
    attack.fit(np.concatenate([members, non_members])[:, None], np.repeat([1, 0], len(members)))
    return float(100 * np.mean(attack.predict(forget[:, None]) == 0))
