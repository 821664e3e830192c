"""SISA: sharded, isolated, sliced and aggregated training, so that forgetting retrains only a part."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from methods.method import Method, Range, hyperparameter
from methods.room import require_room
from methods.task import Build, Fit, Samples, Task, Unsuitable

Aggregation = Literal["mean", "vote"]


class Shards(nn.Module):
    """A network for each shard, and the state that each had before every slice but the first.

    Outputs are logarithms of probabilities. `mean`: the mean of the members' softmax m. `vote`: (v + m) / (S + 1) with
    v the number of the S members whose largest logit is the class's: most votes win, and m decides between equals.
    Of a network with one output, which predicts a number, the mean of the members' outputs.
    """

    def __init__(self, members: list[nn.Module], slices: int, aggregation: Aggregation) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.checkpoints = nn.ModuleList(deepcopy(member) for member in members for _ in range(1, slices))
        self.checkpoints.requires_grad_(False)
        self.aggregation = aggregation

    def checkpoint(self, shard: int, piece: int) -> nn.Module:
        """The state of a shard's network before slice `piece`, which is not the first."""
        return self.checkpoints[shard * (len(self.checkpoints) // len(self.members)) + piece - 1]

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = torch.stack([member(inputs) for member in self.members])  # [S, B, K]
        if outputs.shape[-1] == 1:
            return outputs.mean(dim=0)
        answers = (outputs.float() if outputs.dtype == torch.bfloat16 else outputs).log_softmax(dim=-1)
        mean = answers.logsumexp(dim=0) - math.log(len(answers))
        if self.aggregation == "mean":
            return mean
        votes = one_hot(answers.argmax(dim=-1), answers.shape[-1]).sum(dim=0).to(mean)
        return torch.logaddexp(votes.log(), mean) - math.log(len(answers) + 1)


@dataclass(frozen=True)
class SISA(Method):
    """Train a network on each of S shards, slice by slice, and retrain only from the first slice that forgets.

    Row i of the training set is in shard i mod S and there in slice floor(i / S) mod R; nothing is cut anew when
    samples go. A member is trained on the first slice, then on the first two, ... then on all R, each time with the
    original's whole recipe (new optimizer, whole schedule) in

        e_r = floor(r e) - floor((r - 1) e) epochs,  e = 2 e0 / (R + 1),

    e0 being the recipe's: about e0 passes over the shard in all. Its state before every slice is kept. To forget, each
    shard touched goes back to its state before the earliest slice touched and is trained from there on what remains;
    the other shards stay. The result is bit for bit that of training all shards on the retain set alone, which
    `from_scratch` does: exact, relative to SISA itself. Whether SISA is as good a model as one network is what its gap
    to Retrain shows. With one shard and one slice it is Retrain.

    Worth using for few samples at a time: k random ones touch S (1 - (1 - 1/S)^k) of S shards on average, so that from
    about 3 S on nearly everything is trained again (benchmarks/sisa.py). One sample costs 2/3 + 1/(3 R) of its shard's
    training on average. The price is the members' accuracy, each trained on 1 / S of the samples.

    Public code (cleverhans-lab/machine-unlearning) has the same slices and epochs (but for floats, which put an epoch
    into a neighbouring slice now and then), and differs where it is not exact: one optimizer lives through all slices
    but is new after a checkpoint was loaded; initial weights and dropout have no seed; the samples that are left over
    when a shard is cut into slices are trained on, but not counted as the last slice's, so that forgetting one of them
    retrains nothing. Its learning rate is constant, its samples are not shuffled, its members answer in training mode,
    and its default is the vote over `argmax`.
    """

    name: ClassVar[str] = "sisa"
    source: ClassVar[str] = "Bourtoule et al., Machine Unlearning, IEEE S&P 2021"
    family: ClassVar[str] = "exact, sharded"
    needs: ClassVar[str] = "retain"
    cost: ClassVar[str] = "<= 2 * slices / (slices + 1) * training_epochs * n_r"
    shapes_training: ClassVar[tuple[str, ...]] = ("shards", "slices")

    shards: int = hyperparameter(
        5, "parts S of the training set, each with a network of its own", search=Range(1, 20, log=True), ge=1
    )
    slices: int = hyperparameter(
        5, "parts R of a shard that are trained on one after another", search=Range(1, 10, log=True), ge=1
    )
    aggregation: Aggregation = hyperparameter("mean", "answer: the mean of the members' softmax, or their vote")
    from_scratch: bool = hyperparameter(False, "train every shard on the retain set alone: what SISA is exact to")

    def build_original(self, build: Build, train: Samples) -> nn.Module:
        count = self.shards * self.slices
        require_room(build(), count, f"{count} states of the network ({self.shards} shards of {self.slices} slices)")
        members = [build(self._stream(shard)) for shard in range(self.shards)]
        return Shards(members, self.slices, self.aggregation)

    def train_original(self, model: nn.Module, train: Samples, fit: Fit) -> nn.Module:
        assert isinstance(model, Shards)
        for shard in range(self.shards):
            self._fit(model, shard, 0, train, fit)
        return model.eval()

    def unlearn(self, task: Task) -> nn.Module:
        if self.from_scratch:
            return self.train_original(self.build_original(task.build, task.retain), task.retain, task.fit)
        model = task.model
        assert isinstance(model, Shards)
        shards, slices = self._shard(task.forget.index).cpu(), self._slice(task.forget.index).cpu()
        for shard in shards.unique().tolist():
            first = int(slices[shards == shard].min())
            state = model.checkpoint(shard, first) if first else task.build(self._stream(shard))
            model.members[shard].load_state_dict(state.state_dict())
            self._fit(model, shard, first, task.retain, task.fit)
        return model.eval()

    def _fit(self, model: Shards, shard: int, first: int, samples: Samples, fit: Fit) -> None:
        """Train a shard's network from slice `first` on, and keep its state before each slice."""
        member = model.members[shard]
        rows = samples.index.sort().values  # the order of the set must not matter
        rows = rows[self._shard(rows) == shard]
        for last in range(first, self.slices):
            if last > first:
                model.checkpoint(shard, last).load_state_dict(member.state_dict())
            part = replace(samples, index=rows[self._slice(rows) <= last])
            if len(part) > 1:  # BatchNorm cannot train on one sample
                fit(member, part, epochs=partial(self._epochs, last), stream=self._stream(shard, last))

    def _epochs(self, last: int, recipe: int) -> int:
        """The epochs on slices 0 to `last`, of a recipe's."""
        if 2 * recipe <= self.slices:
            raise Unsuitable(
                f"{self.slices} slices need {self.slices // 2 + 1} epochs of training or more, not {recipe}"
            )
        return 2 * recipe * (last + 1) // (self.slices + 1) - 2 * recipe * last // (self.slices + 1)

    def _shard(self, rows: Tensor) -> Tensor:
        return rows % self.shards

    def _slice(self, rows: Tensor) -> Tensor:
        return rows // self.shards % self.slices

    def _stream(self, *part: int) -> str:
        """The name of a part's random numbers; the original's own where there is one part only."""
        return "/".join(map(str, ("sisa", *part))) if self.shards * self.slices > 1 else ""
