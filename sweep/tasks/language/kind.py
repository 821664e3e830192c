"""Language: token ids, the loss of answers, and how likely a network takes candidate answers to be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from methods import Diverged, Samples
from methods.tokens import answer_losses
from sweep.errors import InputError
from sweep.store.metrics import KINDS
from sweep.tasks.device_data import DeviceData
from sweep.tasks.evaluation import (
    Floats,
    Predictions,
    accuracy,
    equally_many,
    first,
    membership_inference,
)
from sweep.tasks.kind import DatasetSpec, Evaluation, Kind, Outline, numbered
from sweep.tasks.language.encoding import Encoded, EncodedTexts, encode_texts
from sweep.tasks.language.group_splits import GroupSplits, group_splits
from sweep.tasks.language.pretrained import model_folder
from sweep.tasks.language.recall import Reader, recall, remembered_auc
from sweep.tasks.language.scoring import batch_size, candidate_scores, likelihood
from sweep.tasks.language.texts import Texts
from sweep.tasks.language.tokenizer import Tokenizer, tokenizer_of
from sweep.tasks.recipes import Recipe
from sweep.tasks.regression import unchanged
from sweep.tasks.splits import Integers, Split


class TextSpec(DatasetSpec):
    """Which texts; further keys are the dataset's own options."""

    validation: float = Field(0.0, ge=0, lt=1, description="share of test rows and outsiders that a search judges on")
    reference: Literal[0] = Field(0, description="none: no method for language reads held-out samples")
    limit: None = Field(None, description="none: groups are forgotten and kept as a whole")
    generate: int = Field(
        0, ge=0, description="so many forget rows, and as many retain rows, are continued to see what is repeated"
    )
    came_later = (*DatasetSpec.came_later, "generate")


class TextTraining(Recipe):
    """The recipe of originals and of Retrain: AdamW."""

    epochs: int = Field(20, ge=0, description="passes over the training data; 0: take the network as it is")
    lr: float = Field(3e-3, gt=0, description="(peak) learning rate")
    batch_size: int = Field(32, ge=1, description="rows per step")
    weight_decay: float = Field(0.0, ge=0, description="AdamW's, which shrinks the weights in each step")
    momentum: float = Field(0.9, ge=0, lt=1, description="AdamW's beta 1")
    clip: float | None = Field(1.0, gt=0, description="longest gradient; longer ones are shortened; null: any")
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the steps in which the learning rate rises from 0")

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return adamw(parameters, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)

    def scheduler(self, optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
        schedulers = torch.optim.lr_scheduler
        rising = round(self.warmup * steps)
        if not rising or self.schedule == "one-cycle":  # which rises by itself
            return super().scheduler(optimizer, steps)
        first = schedulers.LinearLR(optimizer, start_factor=1 / (rising + 1), total_iters=rising)
        rest = super().scheduler(optimizer, steps - rising)
        return schedulers.SequentialLR(optimizer, [first, rest], milestones=[rising])

    def limit_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        if self.clip is not None:
            torch.nn.utils.clip_grad_norm_(parameters, self.clip)


def adamw(
    parameters: Iterable[nn.Parameter], *, lr: float, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter, ICLR 2019) with `momentum` as beta 1 and 0.999 as beta 2."""
    return torch.optim.AdamW(parameters, lr=lr, betas=(momentum, 0.999), weight_decay=weight_decay)


@dataclass(frozen=True)
class ReadTexts:
    """A data set of texts as tokens.

    Attributes:
        texts: as the dataset gives them.
        tokens: what the tokenizer makes of them.
        tokenizer: the data set's own, or the model's.
    """

    texts: Texts
    tokens: EncodedTexts
    tokenizer: Tokenizer


@dataclass(frozen=True)
class TextOutline(Outline):
    """The outline of texts; `inputs` is the width of a row, `outputs` the vocabulary."""

    texts: Texts


@dataclass(frozen=True, kw_only=True)
class TextData(DeviceData):
    """Texts on the device. Samples are the right candidates; `tokens` has them all, on the CPU."""

    tokens: EncodedTexts
    tokenizer: Tokenizer
    generate: int


class Language(Kind):
    """Texts and questions. Targets are what each position must predict, -100 where that is no part of an answer."""

    name = "language"
    metrics = KINDS["language"]
    dataset_keys = TextSpec
    training_keys = TextTraining
    scenarios = ("random", "group", "given", "rows")
    packages = ("transformers", "tokenizers")

    def for_model(self, data: Texts, model: Mapping[str, Any]) -> ReadTexts:
        tokenizer = data.tokenizer
        if "path" in model:  # pretrained weights go with their own tokenizer only
            tokenizer = tokenizer_of(str(model_folder(str(model["path"]))))
        if tokenizer is None:
            name = model.get("name", "the model")
            raise InputError(f"{name} brings no tokenizer: set dataset.vocabulary, as in 512, or take model hf")
        return ReadTexts(data, encode_texts(data, tokenizer), tokenizer)

    def outline(self, data: ReadTexts) -> TextOutline:
        return TextOutline(
            outputs=data.tokenizer.vocabulary,
            inputs=data.tokens.length,
            noun="row",
            size=f"{data.tokens.length} tokens",
            samples=numbered(row.tobytes() for row in data.tokens.train.samples[0]),
            remarks=(),
            texts=data.texts,
        )

    def splits(self, outline: TextOutline, options: Mapping[str, Any]) -> GroupSplits:
        return group_splits(outline.texts, options)

    def examples(self, outline: TextOutline, count: int) -> Samples:
        tokens = torch.zeros(count, outline.inputs, dtype=torch.int64)
        return Samples(tokens, tokens, torch.arange(count), unchanged)

    def on_device(self, data: ReadTexts, options: Mapping[str, Any], device: torch.device) -> TextData:
        inputs, targets = (torch.from_numpy(part).to(device) for part in data.tokens.train.samples)
        tested, wanted = (torch.from_numpy(part).to(device) for part in data.tokens.test.samples)
        return TextData(
            inputs,
            targets,
            targets,
            tested,
            wanted,
            group_splits(data.texts, options),
            outputs=data.tokenizer.vocabulary,
            inputs=data.tokens.length,
            classes=None,
            prepare=unchanged,
            tokens=data.tokens,
            tokenizer=data.tokenizer,
            generate=options.get("generate", 0),
        )

    def criterion(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return answer_losses(outputs, targets).mean()

    def optimizer(
        self, parameters: Iterable[nn.Parameter], *, lr: float, momentum: float, weight_decay: float
    ) -> torch.optim.Optimizer:
        return adamw(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)

    def evaluate(
        self, model: nn.Module, data: DeviceData, split: Split, forget: dict[str, Any], seed: int
    ) -> Evaluation:
        assert isinstance(data, TextData)
        assert isinstance(data.splits, GroupSplits)
        model.eval()
        tokens, device = data.tokens, data.train_inputs.device
        judges, held = data.splits.judges(seed)
        scored = scorer(model, data)
        parts = {part: asked(part, tokens, split, scored) for part in ("retain", "forget")}
        parts["test"] = scored(tokens.test, judges["test"])
        metrics: dict[str, float | None] = {}
        for name, part in parts.items():
            metrics |= quality(name, part)
        metrics["chance"] = 100 / candidates(parts["forget"]) if candidates(parts["forget"]) > 1 else None
        subsets = {part: tokens.train.subset(getattr(split, part)) for part in ("retain", "forget")}
        subsets["test"] = tokens.test.subset(judges["test"])
        unseen = {}
        if len(held["test"]):
            unseen["validation"] = unasked = scored(tokens.test, held["test"])
            metrics["validation_accuracy"] = accuracy(unasked) if candidates(unasked) > 1 else None
        if tokens.outsiders is not None:
            subsets["outsiders"] = tokens.outsiders.subset(judges["outsiders"])
            known = parts | {part: scored(tokens.train, getattr(split, part)) for part in tokens.asked}
            parts["outsiders"] = scored(tokens.outsiders, judges["outsiders"])
            members, strangers = equally_many(known["retain"], parts["outsiders"], seed)
            metrics["attack_auc"] = attack_auc(known["forget"], parts["outsiders"])
            probabilities = (np.exp(right_scores(part)) for part in (members, strangers, known["forget"]))
            metrics["mia"] = membership_inference(*probabilities)
            if len(held["outsiders"]):
                unseen["validation_outsiders"] = scored(tokens.outsiders, held["outsiders"])
                metrics["validation_attack_auc"] = attack_auc(known["forget"], unseen["validation_outsiders"])
        reader = Reader(model, data.tokenizer, device, batch_size(device, data.inputs, 8 * data.outputs))
        metrics |= recall(reader, subsets, data.generate, seed)
        retained, others = parts["retain"], parts.get("outsiders", parts["test"])
        few, _ = equally_many(retained, others, seed)
        if data.splits.fixed(forget) is not None:
            questions = tokens.asked.get("retain")
            order = data.splits.order if questions is None else np.arange(len(questions.right))
            few = first(retained, order, len(few))
        rows = torch.arange(1 + max(int(part.index.max()) for part in (parts | unseen).values()))
        shown = parts | {"retain": few} | unseen
        kept = tuple((name, part, rows) for name, part in shown.items())
        return Evaluation(metrics, kept, retained=("retain", retained, rows))

    def evaluate_forget(
        self, model: nn.Module, data: DeviceData, split: Split, forget: dict[str, Any], seed: int
    ) -> Evaluation:
        assert isinstance(data, TextData)
        model.eval()
        found = asked("forget", data.tokens, split, scorer(model, data))
        return Evaluation(quality("forget", found), (("forget", found, torch.arange(1 + int(found.index.max()))),))


Scorer = Callable[[Encoded, Integers], Predictions]
"""(texts, places of some of them) -> the scores of their candidates; raises Diverged where one is not finite."""


def scorer(model: nn.Module, data: TextData) -> Scorer:
    """A network in evaluation mode as a scorer."""
    device = data.train_inputs.device
    rows_per_pass = batch_size(device, data.inputs, data.outputs)

    def scored(encoded: Encoded, rows: Integers) -> Predictions:
        part = encoded.subset(rows)
        scores = candidate_scores(model, part, device, rows_per_pass)
        if not np.isfinite(scores).all():
            raise Diverged("outputs are not finite")
        return Predictions(torch.from_numpy(rows), torch.from_numpy(part.right), torch.from_numpy(scores))

    return scored


def asked(part: str, tokens: EncodedTexts, split: Split, scored: Scorer) -> Predictions:
    """The scores of what is asked of a part (retain, forget): questions of its own, or the rows trained on."""
    questions = tokens.asked.get(part)
    if questions is None:
        return scored(tokens.train, getattr(split, part))
    return scored(questions, np.arange(len(questions.right)))


def quality(name: str, part: Predictions) -> dict[str, float | None]:
    """Accuracy, where there are several candidates, and likelihood of a part, by their columns."""
    right = accuracy(part) if candidates(part) > 1 else None
    return {f"{name}_accuracy": right, f"{name}_likelihood": likelihood(right_scores(part))}


def candidates(part: Predictions) -> int:
    """How many candidate answers each row has."""
    return part.outputs.shape[1]


def right_scores(part: Predictions) -> Floats:
    """The score of each row's right candidate, [n]."""
    found: Floats = part.outputs.gather(1, part.targets[:, None])[:, 0].double().numpy()
    return found


def attack_auc(forget: Predictions, outsiders: Predictions) -> float:
    """Percent of the pairs of a forget row and an outsider in which the forget row's right answer has the higher score.

    Equal scores count half. 50: an attack that sorts by score cannot tell them apart; 100: remembered as if nothing had
    been forgotten; 0: every forget row has become less likely than what was never seen (the PrivLeak of MUSE, Shi et
    al., ICLR 2025, is its relative distance to Retrain's).
    """
    return remembered_auc(-right_scores(forget), -right_scores(outsiders))
