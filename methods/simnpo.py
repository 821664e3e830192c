"""Simple negative preference optimisation (SimNPO): NPO by the length of answers, and without a reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from methods.method import Range, hyperparameter
from methods.task import Batch, Task
from methods.tokens import answer_losses
from methods.two_terms import Term, TwoTerms


@dataclass(frozen=True)
class SimNPO(TwoTerms):
    """Raise the mean token loss of forget answers, the more gently the higher it is, beside the retain loss.

    With l = -log p(y|x) / |y|, the mean loss of an answer's tokens, it minimises

        weight * mean over forget samples of -(2 / beta) log sigmoid(beta (l - delta))  +  alpha L_r.

    A sample's gradient is that of gradient ascent on l, times 2 weight sigmoid(-beta (l - delta)): it fades once l is
    well above delta, whatever the original said of the sample. NPO's compares with the original, so that what was
    learned by heart is pushed no harder than what was hardly known, and counts long answers more.

    Worth using in the place of NPO: it needs no second copy of the network.

    Open-unlearning computes the same and has the defaults of beta, delta and weight, with lr 1e-5, batches of 32 and 10
    epochs of the forget set. delta is multiplied by beta there as here; where a margin stands outside that product, it
    is beta * delta.
    """

    name: ClassVar[str] = "simnpo"
    source: ClassVar[str] = "Fan et al., Simplicity Prevails, NeurIPS 2025"
    family: ClassVar[str] = "preference"

    beta: float = hyperparameter(4.5, "inverse temperature", search=Range(0.5, 10.0, log=True), gt=0)
    delta: float = hyperparameter(0.0, "token loss about which forgetting fades, in nats", search=Range(0.0, 4.0), ge=0)
    weight: float = hyperparameter(0.125, "weight of the forget term", search=Range(0.05, 2.0, log=True), gt=0)

    def forget_term(self, task: Task) -> Term:
        def term(batch: Batch) -> Tensor:
            inputs, targets = batch
            losses = answer_losses(task.outputs(task.model, inputs), targets)
            return -2 * self.weight / self.beta * logsigmoid(self.beta * (losses - self.delta)).mean()

        return term
