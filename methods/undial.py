"""UNDIAL: learn from the original's own predictions, with the right token made less likely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from methods.distillation import teacher
from methods.method import Range, hyperparameter
from methods.task import Batch, Task
from methods.tokens import answer_means, require_tokens
from methods.two_terms import Term, TwoTerms


@dataclass(frozen=True)
class UNDIAL(TwoTerms):
    """Distil the original into itself on forget answers, with `beta` taken off the logit of each right token.

    With z_0 the original's logits where an answer's token y_t is to be predicted, it minimises

        mean over forget samples, and over the tokens of each, of -sum_v q_v log p_v  +  alpha L_r,
        q = softmax(z_0 - beta onehot(y_t)).

    The targets are fixed, so that there is a minimum and training does not collapse: a right token ends with the odds
    that it had, divided by e^beta, and the others keep theirs to each other.

    Worth using where no retain data is to be read (alpha 0, as published), or where steps are many. Needs a second copy
    of the network.

    Open-unlearning averages over prompts and padding too, and makes some token of the vocabulary less likely there (it
    indexes by their label, -100), so that with short answers most of its loss is not about them. Its defaults: lr 1e-4,
    10 epochs of the forget set, beta 10, alpha 0.
    """

    name: ClassVar[str] = "undial"
    source: ClassVar[str] = "Dong et al., UNDIAL, NAACL 2025"
    family: ClassVar[str] = "distillation"

    epochs: int = hyperparameter(
        10, "passes over the forget set (over the retain set if alpha is not 0)", search=Range(1, 20, log=True), ge=1
    )
    alpha: float = hyperparameter(0.0, "weight of the retain loss", search=Range(0.0, 5.0), ge=0)
    beta: float = hyperparameter(
        10.0, "what is taken off the right token's logit", search=Range(1.0, 30.0, log=True), ge=0
    )

    def forget_term(self, task: Task) -> Term:
        original = teacher(task.model)

        def term(batch: Batch) -> Tensor:
            inputs, targets = batch
            outputs = task.outputs(task.model, inputs)
            require_tokens(outputs, targets)
            with torch.no_grad():
                logits = task.outputs(original, inputs)
                right = targets.clamp(min=0).unsqueeze(-1)  # where nothing is asked for, any token: it does not count
                goal = logits.scatter_add(-1, right, logits.new_full(right.shape, -self.beta)).softmax(dim=-1)
            losses = cross_entropy(outputs.flatten(0, 1), goal.flatten(0, 1), reduction="none")
            return answer_means(losses.view(targets.shape), targets).mean()

        return term
