"""Negative preference optimisation (NPO): make answers less likely than the original finds them, ever more gently."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from methods.distillation import teacher
from methods.method import Range, hyperparameter
from methods.task import Batch, Task
from methods.tokens import token_losses
from methods.two_terms import Term, TwoTerms


@dataclass(frozen=True)
class NPO(TwoTerms):
    """Lower the probability of forget answers relative to the original's, beside the retain loss.

    With p(y|x) the probability of a whole answer, the product over its tokens, and p_0 the original's, it minimises

        mean over forget samples of (2 / beta) log(1 + (p(y|x) / p_0(y|x))^beta)  +  alpha L_r:

    direct preference optimisation with answers to be avoided and none to be preferred. A sample's gradient is that of
    gradient ascent on log p, times 2 r / (1 + r) with r = (p / p_0)^beta: it begins at 1 and fades as the sample is
    forgotten. For beta -> 0 it is gradient ascent (`neggrad`), for a large beta it stops early.

    Worth using as the usual baseline of language models, where gradient ascent collapses. It goes on past what a model
    that never saw the answers would say: forget samples end less likely than strangers if nothing stops it. Needs a
    second copy of the network.

    Open-unlearning computes the same. There an epoch is a pass over the forget set, with as many retain samples; here,
    as in all methods, over the retain set. MUSE's code takes the difference of logits entry by entry in place of the
    log-ratio of the answer. The variants that keep to the original's predictions on retain data (KL) are not here.
    Published for models of 1 to 8 billion weights: lr 1e-5, batches of 32, 10 epochs, beta 0.1.
    """

    name: ClassVar[str] = "npo"
    source: ClassVar[str] = "Zhang et al., Negative Preference Optimization, COLM 2024"
    family: ClassVar[str] = "preference"

    beta: float = hyperparameter(0.1, "inverse temperature", search=Range(0.01, 2.0, log=True), gt=0)

    def forget_term(self, task: Task) -> Term:
        original = teacher(task.model)

        def term(batch: Batch) -> Tensor:
            inputs, targets = batch
            with torch.no_grad():
                before = token_losses(task.outputs(original, inputs), targets).sum(dim=1)
            now = token_losses(task.outputs(task.model, inputs), targets).sum(dim=1)
            return -2 / self.beta * logsigmoid(self.beta * (now - before)).mean()

        return term
