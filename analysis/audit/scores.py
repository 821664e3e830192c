"""Every score that an audit computes, in the order of its tables."""

from __future__ import annotations

from analysis.audit.distinguish import Distinguishability, OverForgotten, Remembered
from analysis.audit.score import Score
from analysis.audit.ulira import Area, OnePercent, OnePermille

SCORES: tuple[Score, ...] = (
    Area(),
    OnePercent(),
    OnePermille(),
    Distinguishability(),
    Remembered(),
    OverForgotten(),
)
"""A further score is a subclass of `Score` in a file of this folder, and a line here."""
