"""RMU: steer hidden states of forget text to a random direction, and keep those of retain text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from methods.blocks import blocks_up_to, hidden_states, state_distance
from methods.descent import trainable
from methods.distillation import teacher
from methods.method import Range, hyperparameter
from methods.task import Batch, Task, Unsuitable, sent
from methods.two_terms import Term, TwoTerms


@dataclass(frozen=True)
class RMU(TwoTerms):
    """Representation misdirection: make block l say the same random thing on forget text, whatever the text.

    With h the output of block l at the positions that predict an answer and h_0 the original's, it minimises

        mean over the forget set of |h - c u|^2 / H  +  alpha mean over the retain set of |h - h_0|^2 / H,

    u a vector of H numbers, uniform in [0, 1] and scaled to length 1: drawn once, and all positive, so that any two are
    alike. Means are over positions of each sample, then over samples. Only `blocks` blocks up to l learn; what lies
    behind l neither learns nor is computed.

    Worth using for topics, such as hazardous knowledge, that no Retrain can be had for, and for large networks, as it
    trains few blocks and computes no logits. c is to be compared with the length of h, which differs from network to
    network and block to block. It hides more than it erases: without the direction u much of the knowledge is back.

    The authors' code (wmdp) averages over all positions, padding too; trains one matrix of each of three blocks (freeze
    the others in the model for that); and has a vector for each corpus. For Zephyr 7B: l 7, c 6.5, alpha 1200, lr 5e-5,
    batches of 4, at most 150 steps. Open-unlearning trains all weights with c 2, alpha 1. It masks by labels that are
    not shifted, so that the position that predicts an answer's first token is left out, and divides each sample's sum
    by every sample's number of positions in turn, which is no mean where answers differ in length.
    """

    name: ClassVar[str] = "rmu"
    source: ClassVar[str] = "Li et al., The WMDP Benchmark, ICML 2024"
    family: ClassVar[str] = "representation"

    layer: int = hyperparameter(2, "l: the block that is steered, counted from 0", ge=0)
    blocks: int | None = hyperparameter(3, "blocks that learn, the last of them l; all up to l if null", ge=1)
    c: float = hyperparameter(6.0, "length that states are steered to", search=Range(1.0, 100.0, log=True), gt=0)
    alpha: float = hyperparameter(1.0, "weight of the retain term", search=Range(0.1, 2000.0, log=True), ge=0)

    def unlearn(self, task: Task) -> nn.Module:
        if self.blocks is None:
            return self.descend(task)
        with only(blocks_up_to(task.model, self.layer)[-self.blocks :], task.model):
            return self.descend(task)

    def forget_term(self, task: Task) -> Term:
        def term(batch: Batch) -> Tensor:
            states = hidden_states(task, task.model, batch[0], self.layer)
            random = task.generator("rmu direction")  # anew in each step: always the same direction
            direction = torch.rand(states.shape[-1], generator=random, dtype=states.dtype)
            goal = self.c * direction / torch.linalg.vector_norm(direction)
            return state_distance(states, sent(goal, states.device), batch[1])

        return term

    def retain_term(self, task: Task) -> Term:
        original = teacher(task.model)

        def term(batch: Batch) -> Tensor:
            with torch.no_grad():
                before = hidden_states(task, original, batch[0], self.layer)
            return state_distance(hidden_states(task, task.model, batch[0], self.layer), before, batch[1])

        return term


@contextmanager
def only(blocks: list[nn.Module], model: nn.Module) -> Iterator[None]:
    """Freeze, in the body, all parameters of the model that are in none of the blocks.

    Raises:
        Unsuitable: no parameter is left that is trained.
    """
    kept = {id(weight) for block in blocks for weight in block.parameters()}
    learning = trainable(model)
    frozen = [weight for weight in learning if id(weight) not in kept]
    if len(frozen) == len(learning):
        raise Unsuitable("no parameter of the blocks that are to learn is trained")
    try:
        for weight in frozen:
            weight.requires_grad_(False)
        yield
    finally:
        for weight in frozen:
            weight.requires_grad_(True)
