"""RUM: forget the parts of the forget set one after another, each by the method that suits it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

import methods
from methods.method import Method, Range, hyperparameter
from methods.task import Task, Unsuitable


@dataclass(frozen=True)
class RUM(Method):
    """Split the forget set into as many parts of equal size as `inner` names methods, and let each forget one part.

    The first part has the samples that the original is surest of: they are memorised least, for the rest of the data
    teaches them too. The last has those memorised most. Sureness is p(y|x) of the original, which ranks samples as
    their losses do. A method starts where the one before it ended; samples of parts still to come are retain samples to
    it. `original` leaves its part as it is. `lr`, `epochs` and `batch_size` are every inner method's that has them, and
    where they are not given, each has its own defaults.

    Worth using where the forget set mixes easy and rare samples, since the best method differs between them. The
    paper's best for CIFAR-10 is nothing, then fine-tuning (10 epochs, lr 0.1), then SalUn (5 epochs, lr 0.1), for parts
    of 1000 samples each. One name is that method itself.

    Public code splits by the estimated memorisation of each sample, from many trained networks, or by proxies, of which
    confidence averaged over the epochs of training comes closest; here it is that of the trained original, which needs
    nothing but the original. It forms parts from the ends and the middle of the ranking of all training samples, as
    the set to be forgotten; here that is given, and cut in equal parts.
    """

    name: ClassVar[str] = "rum"
    source: ClassVar[str] = "Zhao et al., What Makes Unlearning Hard, NeurIPS 2024"
    family: ClassVar[str] = "several methods"
    cost: ClassVar[str] = "sum of the inner methods' costs, each for its part"

    inner: str = hyperparameter(
        "original, finetune, salun", "names of methods, for the part memorised least first, with commas between"
    )
    lr: float | None = hyperparameter(
        None, "learning rate of the inner methods; each its own if null", search=Range(1e-3, 0.1, log=True), gt=0
    )
    epochs: int | None = hyperparameter(
        None, "epochs of the inner methods; each its own if null", search=Range(1, 20, log=True), ge=1
    )
    batch_size: int | None = hyperparameter(None, "batch size of the inner methods; each its own if null", ge=1)

    @property
    def needs_reference(self) -> bool:
        try:
            return any(method.needs_reference for method in self.chosen())
        except Unsuitable:  # which `check_hyperparameters` says
            return False

    def check_hyperparameters(self) -> None:
        for method in self.chosen():
            method.check_hyperparameters()

    def chosen(self) -> list[Method]:
        """The inner methods, in order.

        Raises:
            Unsuitable: one of the names is none of a method that can be used here.
        """
        names = [name.strip() for name in self.inner.split(",")]
        for name in names:
            kind = methods.METHODS.get(name)
            if kind is None or kind is RUM:
                raise Unsuitable(f"rum: inner: {name!r} is no method that it can use")
            if kind.shapes_training is not None or not kind.needs_original:
                raise Unsuitable(f"rum: inner: {name} does not start from the ordinary original")
        shared = {"lr": self.lr, "epochs": self.epochs, "batch_size": self.batch_size}
        given = {key: value for key, value in shared.items() if value is not None}
        found = []
        for name in names:
            kind = methods.METHODS[name]
            found.append(kind(**{item.name: given[item.name] for item in fields(kind) if item.name in given}))
        return found

    def unlearn(self, task: Task) -> nn.Module:
        inner = self.chosen()
        rows = parts(surest_first(task), len(inner))
        model = task.model
        for number, (method, part) in enumerate(zip(inner, rows, strict=True)):
            if len(part):
                later = torch.cat([task.forget.index[:0], *(task.forget.index[row] for row in rows[number + 1 :])])
                retain = replace(task.retain, index=torch.cat([task.retain.index, later]))
                model = method.unlearn(replace(task, model=model, retain=retain, forget=task.forget.subset(part)))
                task.recorder.next_part()
        return model


def surest_first(task: Task) -> Tensor:
    """Positions [n] in the forget set, by the original's losses in evaluation mode, the lowest first."""
    task.model.eval()
    with torch.no_grad():
        losses = [task.sample_losses(task.model, batch) for batch in task.forget.in_order(256)]
    return torch.cat(losses).argsort(stable=True) if losses else task.forget.index[:0]


def parts(order: Tensor, count: int) -> list[Tensor]:
    """`order` cut into `count` runs of equal length, to one, and each sorted: a part keeps the forget set's order."""
    return [part.sort().values for part in order.tensor_split(count)]
