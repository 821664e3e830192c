"""Predictions of a model for the parts of the data, and what accuracy and membership inference make of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from methods import Diverged
from methods.task import Samples, derived_seed
from sweep.tasks.device_data import DeviceData
from sweep.tasks.splits import Split

EVALUATION_BATCH = {"cpu": 100, "cuda": 1000}
"""Samples per forward pass of an evaluation; on a CPU few enough for its caches."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """Outputs for one part of the data, on the CPU.

    Attributes:
        index: positions of the samples, int64 [n].
        targets: of these samples, [n, ...]: int64 [n] where the outputs are scores of classes or candidates.
        outputs: float32 [n, K].
    """

    index: Tensor
    targets: Tensor
    outputs: Tensor

    def __len__(self) -> int:
        return len(self.index)

    def subset(self, rows: Tensor) -> Predictions:
        """The samples at `rows` (positions in this part)."""
        return Predictions(self.index[rows], self.targets[rows], self.outputs[rows])


Kept = tuple[str, Predictions, Tensor]
"""A part's name, its predictions, and the rows of the dataset's own data by position."""


@dataclass(frozen=True)
class Parts:
    """Predictions for all parts of the data; `validation` is None where nothing is held out for it."""

    retain: Predictions
    forget: Predictions
    test: Predictions
    validation: Predictions | None


def predict_parts(model: nn.Module, data: DeviceData, split: Split) -> Parts:
    """Predict for the retain, forget, test and validation samples, in this order.

    Raises:
        Diverged: outputs are not finite.
    """
    retain, forget = predict(model, data.train(split.retain)), predict(model, data.train(split.forget))
    test = predict(model, data.test())
    validation = predict(model, data.held_out(split.validation)) if len(split.validation) else None
    looked_at = (part for part in (retain, forget, test, validation) if part is not None)
    if not all(bool(part.outputs.isfinite().all()) for part in looked_at):
        raise Diverged("outputs are not finite")
    return Parts(retain, forget, test, validation)


def judged_forget(
    model: nn.Module, data: DeviceData, split: Split, unit: str, quality: Callable[[Predictions], float]
) -> tuple[dict[str, float | None], tuple[Kept, ...]]:
    """What `judged` says of the forget samples alone, and their predictions, as in `Evaluation`.

    Raises:
        Diverged: outputs are not finite.
    """
    found = predict(model, data.train(split.forget))
    if not bool(found.outputs.isfinite().all()):
        raise Diverged("outputs are not finite")
    return {f"forget_{unit}": quality(found)}, (("forget", found, torch.from_numpy(data.splits.rows)),)


def predict(model: nn.Module, samples: Samples) -> Predictions:
    """Outputs for all samples, without augmentation, in evaluation mode."""
    model.eval()
    batches = samples.in_order(EVALUATION_BATCH[samples.index.device.type])
    with torch.inference_mode():
        outputs = torch.cat([model(inputs).float() for inputs, _ in batches]).cpu()
    return Predictions(samples.index.cpu(), samples.targets[samples.index].cpu(), outputs)


def accuracy(part: Predictions) -> float:
    """Percent of samples whose largest output is that of their target."""
    return 100 * (part.outputs.argmax(dim=1) == part.targets).double().mean().item()


def confidence(part: Predictions) -> Floats:
    """Probability of each sample's target, [n], where the outputs are logits."""
    probabilities = part.outputs.double().softmax(dim=1)
    found: Floats = probabilities.gather(1, part.targets[:, None])[:, 0].numpy()
    return found


def apart(part: Predictions, label: int | None) -> tuple[Predictions, Predictions]:
    """The samples of all other targets, and those of `label`; with None, all samples and none."""
    chosen = torch.zeros(len(part), dtype=torch.bool) if label is None else part.targets == label
    return part.subset(torch.where(~chosen)[0]), part.subset(torch.where(chosen)[0])


def equally_many(retain: Predictions, others: Predictions, seed: int) -> tuple[Predictions, Predictions]:
    """Equally many retain samples and others (test or validation), the same ones for every method of a seed."""
    count = min(len(retain), len(others))

    def chosen(part: Predictions, name: str) -> Predictions:
        generator = torch.Generator().manual_seed(derived_seed(seed, name))
        return part.subset(torch.randperm(len(part), generator=generator)[:count].sort().values)

    return chosen(retain, "retain subset"), chosen(others, "test subset")


def membership_inference(members: Floats, non_members: Floats, forget: Floats) -> float:
    """Membership-inference efficacy in percent (Jia et al., NeurIPS 2023): the share of D_f called non-member.

    An SVC (RBF kernel, C = 3, gamma = 1 / number of features = 1) is fitted on one number per sample.

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


def first(part: Predictions, order: NDArray[np.int64], count: int) -> Predictions:
    """The `count` samples of a part that come first in an order of all samples, in the order of the part."""
    place = np.argsort(order)[part.index.numpy()]
    return part.subset(torch.from_numpy(np.sort(np.argsort(place)[:count])))


def judged(
    data: DeviceData,
    forget: dict[str, Any],
    parts: Parts,
    tested: tuple[Predictions, Predictions],
    validated: Predictions | None,
    seed: int,
    unit: str,
    quality: Callable[[Predictions], float],
    feature: Callable[[Predictions], Floats],
) -> tuple[dict[str, float | None], tuple[Kept, ...], Kept]:
    """The quality of every part and membership inference, by their columns; and predictions, as in `Evaluation`.

    Of the retain samples those are kept that the attack is fitted on, where seeds forget different samples; where they
    forget the same, as many that are the same in every seed, as far as it retains them.

    Args:
        tested: the test samples that count, and those that are like the forgotten ones, of which there may be none.
        validated: the validation samples that count; None or none: nothing is said of them.
        unit: what the names of the quality's columns end in.
        quality: how well a part is predicted.
        feature: what the attack sees of each sample, [n].
    """
    others, forgotten = tested
    members, non_members = equally_many(parts.retain, others, seed)
    found: dict[str, float | None] = {
        f"retain_{unit}": quality(parts.retain),
        f"forget_{unit}": quality(parts.forget),
        f"test_{unit}": quality(others),
        f"forgotten_test_{unit}": quality(forgotten) if len(forgotten) else None,
        "mia": membership_inference(*map(feature, (members, non_members, parts.forget))),
    }
    if validated is not None and len(validated):
        inside, outside = equally_many(parts.retain, validated, seed)
        found[f"validation_{unit}"] = quality(validated)
        found["validation_mia"] = membership_inference(*map(feature, (inside, outside, parts.forget)))
    if data.splits.fixed(forget) is not None:
        members = first(parts.retain, data.splits.order, len(members))
    rows = torch.from_numpy(data.splits.rows)
    kept = [("retain", members, rows), ("forget", parts.forget, rows)]
    kept.append(("test", parts.test, torch.arange(len(data.test_targets))))
    if parts.validation is not None:
        kept.append(("validation", parts.validation, rows))
    return found, tuple(kept), ("retain", parts.retain, rows)
