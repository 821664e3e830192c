"""Every score that an audit computes, in the order of its tables."""

from __future__ import annotations

from analysis.audit.distinguish import Distinguishability, OverForgotten, Remembered
from analysis.audit.divergence import ActivationDistance, JensenShannon
from analysis.audit.forgetting_quality import ForgettingQuality
from analysis.audit.iam import IAM
from analysis.audit.klom import KLoM, KLoMRetain, KLoMTest
from analysis.audit.logistic import LossAttack
from analysis.audit.rmia import RMIA
from analysis.audit.score import Score
from analysis.audit.svc import ATTACKS, WorstAttack
from analysis.audit.tow import TugOfWar, TugOfWarMIA
from analysis.audit.ulira import Area, OnePercent, OnePermille
from analysis.audit.zrf import ZeroRetrainForgetting

SCORES: tuple[Score, ...] = (
    Area(),
    OnePercent(),
    OnePermille(),
    Distinguishability(),
    Remembered(),
    OverForgotten(),
    ForgettingQuality(),
    KLoM(),
    KLoMRetain(),
    KLoMTest(),
    RMIA(),
    LossAttack(),
    *ATTACKS,
    WorstAttack(),
    IAM(),
    JensenShannon(),
    ActivationDistance(),
    ZeroRetrainForgetting(),
    TugOfWar(),
    TugOfWarMIA(),
)
"""A further score is a subclass of `Score` in a file of this folder, and a line here."""
