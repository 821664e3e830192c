"""Ridge regression on features that never saw the data: a removal that is exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from methods.frozen_features import FEATURE_BATCH, MOST_BYTES, FrozenFeatures, without_last_layer
from methods.method import Method, Range, hyperparameter
from methods.task import Build, Fit, Samples, Task, Unsuitable


@dataclass(frozen=True)
class CertifiedRidge(Method):
    """Fit ridge regression on frozen features, and remove the forget set by one Newton step, which is exact.

    With phi(x) features of length 1 and a constant 1 appended, the layer W minimises

        F_S(W) = mean over S of |W phi(x) - y|^2 / 2 + l2 / 2 |W|^2

    over the training set. F_r is quadratic, so that from wherever it starts the step W - H_r^-1 grad F_r(W) ends in
    its one minimum: in ridge regression without the forget set. H_r and the gradient follow from two sums over samples,
    phi phi^T and phi y^T, which the original keeps. Unlearning takes the forget set's part out of them, for forget sets
    of any size and request after request: it never looks at retain data, and costs a pass over the forget set.

    Worth using where a proof is needed, or as the simplest model that an unlearned network should be better than. The
    features are the outputs of the untrained network's last layer but one, BatchNorm as it was built, or the inputs
    themselves; images are taken back to their raw values. No augmentation. It predicts as a linear model does, so
    that Retrain is another model and not what it is to come close to. Mean and spread that inputs and targets are
    scaled by still depend on the forget set: `notes` says so.

    Guo et al. say that the step is exact for squares, and certify it with noise for other losses. Their public code
    removes from logistic regression only, and inverts the Hessian in float32.
    """

    name: ClassVar[str] = "certified-ridge"
    source: ClassVar[str] = "Guo et al., ICML 2020, for a quadratic loss"
    kinds: ClassVar[tuple[str, ...]] = ("regression",)
    family: ClassVar[str] = "certified"
    needs: ClassVar[str] = "forget"
    cost: ClassVar[str] = "n_f"
    shapes_training: ClassVar[tuple[str, ...]] = ("features", "l2")

    features: Literal["untrained", "inputs"] = hyperparameter("untrained", "features, which no data shape")
    l2: float = hyperparameter(1e-3, "L2 penalty, its strong convexity", search=Range(1e-5, 0.1, log=True), gt=0)

    def build_original(self, build: Build, train: Samples) -> nn.Module:
        network = build().eval()
        inputs, targets = next(train.in_order(1))
        with torch.no_grad():
            outputs = network(inputs)
        if outputs.ndim != 2 or outputs.shape != targets.shape or not targets.is_floating_point():
            raise Unsuitable("certified-ridge needs regression: outputs and targets that are numbers [B, k]")
        body = nn.Flatten() if self.features == "inputs" else without_last_layer(network)
        return Ridge(body, train.bounds, inputs, outputs.shape[1])

    def train_original(self, model: nn.Module, train: Samples, fit: Fit) -> nn.Module:
        assert isinstance(model, Ridge)
        model.add(train, 1)
        model.step(self.l2)
        return model.eval()

    def unlearn(self, task: Task) -> nn.Module:
        model = task.model.eval()
        assert isinstance(model, Ridge)
        model.add(task.forget, -1)
        task.recorder.count(len(task.forget))
        task.recorder.record(epoch=0, step=1, gradient_norm=model.step(self.l2))
        task.recorder.note(epsilon=0.0, delta=0.0, certificate=self.certificate)
        return model

    @property
    def certificate(self) -> str:
        """What the result is, and under which assumptions."""
        source = "inputs" if self.features == "inputs" else "outputs of an untrained network"
        return (
            "Equal to ridge regression on the same features trained without the forget set, provided that the features "
            f"({source}), and what inputs and targets were scaled by, do not depend on the forget set; and arithmetic "
            "counts as exact"
        )


class Ridge(FrozenFeatures):
    """Ridge regression, and what it keeps of its samples.

    Attributes:
        gram: sum of phi phi^T over the samples, [k, k].
        moment: sum of phi y^T, [k, outputs].
        count: the number of samples, int64.
    """

    gram: Tensor
    moment: Tensor
    count: Tensor

    def __init__(self, body: nn.Module, bounds: tuple[Tensor, Tensor] | None, inputs: Tensor, outputs: int) -> None:
        super().__init__(body, bounds, inputs, outputs)
        width, weight = self.head.in_features, self.head.weight
        if 8 * width**2 > MOST_BYTES:
            raise Unsuitable(f"certified-ridge would need {8 * width**2 / 2**30:.0f} GiB for {width} features")
        self.register_buffer("gram", weight.new_zeros(width, width))
        self.register_buffer("moment", weight.new_zeros(width, outputs))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64, device=weight.device))

    @torch.no_grad()
    def add(self, samples: Samples, sign: int) -> None:
        """Add samples to what is kept, or with `sign` -1 take them out of it."""
        for inputs, targets in samples.in_order(FEATURE_BATCH):
            found = self.features(inputs)
            self.gram += sign * found.T @ found
            self.moment += sign * found.T @ targets.double()
        self.count += sign * len(samples)

    @torch.no_grad()
    def step(self, l2: float) -> Tensor:
        """One Newton step for the samples kept; returns the norm of the gradient after it."""
        weight = self.head.weight
        hessian = self.gram / self.count + l2 * torch.eye(len(self.gram), dtype=weight.dtype, device=weight.device)
        factor = torch.linalg.cholesky(hessian)
        weight.sub_(torch.cholesky_solve(self._gradient(hessian), factor).T)
        norm: Tensor = torch.linalg.vector_norm(self._gradient(hessian))
        return norm

    def _gradient(self, hessian: Tensor) -> Tensor:
        """Of F, transposed: [k, outputs]."""
        return hessian @ self.head.weight.T - self.moment / self.count
