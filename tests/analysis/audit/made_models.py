"""Models made by hand, of logits or numbers that a test chooses or draws, and cohorts of them."""

import numpy as np

from analysis.audit.cohort import Beside, Cohort
from analysis.audit.outputs import Part


def said(probabilities, targets):
    """A part of the predictions whose probabilities are given, [n, C]."""
    with np.errstate(divide="ignore"):
        logits = np.maximum(np.log(np.asarray(probabilities, dtype=float)), -200).astype(np.float32)
    return Part(np.arange(len(logits)), np.asarray(targets), logits)


def drawn(rng, count, sure=0.0, classes=4):
    """A part of random logits, in which every target has `sure` more; targets are the classes in turn."""
    targets = np.arange(count) % classes
    logits = rng.normal(size=(count, classes))
    logits[np.arange(count), targets] += sure
    return Part(np.arange(count), targets, logits.astype(np.float32))


def model(rng, retain=4.0, forget=0.0, test=0.0, counts=(60, 40, 60)):
    """A model that is so sure of its retain, forget and test samples."""
    sure = zip(("retain", "forget", "test"), counts, (retain, forget, test), strict=True)
    return {name: drawn(rng, count, much) for name, count, much in sure}


def numbers(rng, count=30):
    """A model that says numbers."""
    return {
        name: Part(np.arange(count), rng.normal(size=count), rng.normal(size=(count, 1)).astype(np.float32))
        for name in ("retain", "forget", "test")
    }


def beside(unlearned, retrain, original=None, untrained=None):
    """A cohort of these models, one of each kind for each seed."""
    groups = (None if each is None else tuple(each) for each in (unlearned, retrain, original, untrained))
    return Cohort("task", ("task",), "finetune", "{}", tuple(range(len(unlearned))), (Beside(*groups),))
