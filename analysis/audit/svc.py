"""Five attacks by a support vector classifier, and the one of them that tells a method from Retrain best."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar
from weakref import WeakKeyDictionary

import numpy as np

from analysis.audit import signals
from analysis.audit.cohort import Cohort
from analysis.audit.outputs import Floats, Model, Part
from analysis.audit.score import Estimate, Score, next_seeds
from analysis.audit.single import SingleScore
from analysis.statistics.intervals import mean_interval, p_values

MOST = 2000
"""Members, and as many non-members, that an attack is fitted on at most: its time grows with their square."""

NON_MEMBERS = "share of the forget data that a support vector classifier calls non-member, by"


_FOUND: WeakKeyDictionary[Part, dict[str, float]] = WeakKeyDictionary()
"""What attacks found of a model, by its forget part: several scores ask for it, and of Retrain every method does."""


class SVCAttack(SingleScore):
    """The share of forget samples that an attack, fitted on retain against test samples, calls non-members.

    An SVC (RBF kernel, C = 3, gamma = 1 / number of features), as in Jia et al., NeurIPS 2023 (Unlearn-Sparse), on
    equally many members and non-members: as many as are stored of either, and at most `MOST` drawn with a fixed seed.
    Their code takes the first of either. Where a class is forgotten, non-members are of the others.
    """

    unit: ClassVar[str] = "percent"
    parts: ClassVar[tuple[str, ...]] = ("retain", "forget", "test")
    choices: ClassVar[bool] = True

    @abstractmethod
    def sees(self, part: Part) -> Floats:
        """What the attack sees of each sample, [n] or [n, features]."""

    def of(self, model: Model, retrain: Model, original: Model | None) -> float:
        return self.share(model)

    def share(self, model: Model) -> float:
        """Percent of a model's forget samples that are called non-members; NaN without members or non-members."""
        found = _FOUND.setdefault(model["forget"], {})
        if self.name not in found:
            found[self.name] = self._fitted(model)
        return found[self.name]

    def _fitted(self, model: Model) -> float:
        from sklearn.svm import SVC

        members, others = equally_many(model["retain"], model["test"].subset(signals.of_kept_classes(model)))
        if not len(members.samples):
            return float("nan")
        attack = SVC(C=3.0, kernel="rbf", gamma="auto")
        seen = np.concatenate([self._columns(members), self._columns(others)])
        attack.fit(seen, np.repeat([1, 0], len(members.samples)))
        return float(100 * np.mean(attack.predict(self._columns(model["forget"])) == 0))

    def _columns(self, part: Part) -> Floats:
        seen = self.sees(part)
        return seen.reshape(len(seen), -1)


class Correctness(SVCAttack):
    """`SVCAttack` on whether the prediction is right: those predicted wrong are non-members, or none is."""

    name: ClassVar[str] = "svc_correctness"
    label: ClassVar[str] = "SVC-right"
    words: ClassVar[str] = f"{NON_MEMBERS} whether it is predicted right"

    def sees(self, part: Part) -> Floats:
        return signals.correctness(part)


class Confidence(SVCAttack):
    """`SVCAttack` on the probability of the target: the column `mia` of `trials`, from the outputs as stored.

    They agree where the attack has the same samples, that is, where no more than `MOST` members are stored, and as
    many test samples; but for the rounding of stored outputs to float16.
    """

    name: ClassVar[str] = "svc_confidence"
    label: ClassVar[str] = "SVC-conf"
    words: ClassVar[str] = f"{NON_MEMBERS} the probability of its target"

    def sees(self, part: Part) -> Floats:
        return signals.confidence(part)


class Entropy(SVCAttack):
    """`SVCAttack` on the entropy of the prediction."""

    name: ClassVar[str] = "svc_entropy"
    label: ClassVar[str] = "SVC-ent"
    words: ClassVar[str] = f"{NON_MEMBERS} the entropy of its prediction"

    def sees(self, part: Part) -> Floats:
        return signals.entropy(part)


class ModifiedEntropy(SVCAttack):
    """`SVCAttack` on the modified entropy (Song & Mittal, USENIX Security 2021).

    Unlearn-Sparse and what derives from it overwrite the columns of all labels of a batch for every sample, and take
    log p for log(1 - p): what they call modified entropy does not depend on the sample's own label.
    """

    name: ClassVar[str] = "svc_modified_entropy"
    label: ClassVar[str] = "SVC-ment"
    words: ClassVar[str] = f"{NON_MEMBERS} the modified entropy of its prediction"

    def sees(self, part: Part) -> Floats:
        return signals.modified_entropy(part)


class Probabilities(SVCAttack):
    """`SVCAttack` on the probabilities of all classes."""

    name: ClassVar[str] = "svc_probabilities"
    label: ClassVar[str] = "SVC-prob"
    words: ClassVar[str] = f"{NON_MEMBERS} the probabilities of all classes"

    def sees(self, part: Part) -> Floats:
        return part.probabilities


ATTACKS = (Correctness(), Confidence(), Entropy(), ModifiedEntropy(), Probabilities())


class WorstAttack(Score):
    """What the attack that finds most says: the method's result less that of the same seed's Retrain.

    The largest of five is large by chance alone. So the attack is chosen on every other seed, by the distance of the
    means, and the difference is of the seeds between, with its sign: below 0, forget samples look more like members
    than to Retrain. The mean of what the attack says of several folds counts as one observation of a seed.
    """

    name: ClassVar[str] = "svc_worst"
    label: ClassVar[str] = "SVC-worst"
    words: ClassVar[str] = "difference to Retrain by the attack that finds most on the other half of the seeds"
    unit: ClassVar[str] = "percentage points"
    parts: ClassVar[tuple[str, ...]] = SVCAttack.parts
    fewest: ClassVar[int] = 4
    choices: ClassVar[bool] = True
    expected = 0.0

    attacks: ClassVar[tuple[SVCAttack, ...]] = ATTACKS

    def measured(self, cohort: Cohort) -> Estimate:
        retrain = cohort.of("retrain")
        found = {attack: attack.per_seed(cohort) - attack.per_seed(retrain) for attack in self.attacks}
        worst = max(found, key=lambda attack: abs(found[attack][::2].mean()))
        left = found[worst][1::2]
        apart = mean_interval(left)
        p, _ = p_values(left)
        return Estimate(apart.mean, apart.low, apart.high, f"by {worst.label}", float(p))

    def perfect(self, cohort: Cohort) -> Cohort | None:
        return next_seeds(cohort)


def equally_many(members: Part, others: Part) -> tuple[Part, Part]:
    """Equally many of either, at most `MOST`, the same ones for parts of the same sizes."""
    count = min(len(members.samples), len(others.samples), MOST)

    def chosen(part: Part) -> Part:
        mask = np.zeros(len(part.samples), dtype=bool)
        mask[np.random.default_rng(0).permutation(len(mask))[:count]] = True
        return part.subset(mask)

    return chosen(members), chosen(others)
