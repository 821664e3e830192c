"""ZRF, by hand."""

import numpy as np
import pytest
from made_models import beside, said

from analysis.audit.zrf import ZeroRetrainForgetting

UNSURE, SURE = {"forget": said([[0.5, 0.5]] * 3, [0] * 3)}, {"forget": said([[1.0, 0.0]] * 3, [0] * 3)}
TO_UNSURE = (np.log(4 / 3) + np.log(2 / 3) / 2 + np.log(2) / 2) / 2
"""The Jensen-Shannon divergence of (1, 0) and (1/2, 1/2), whose middle is (3/4, 1/4)."""


def test_it_is_1_where_a_model_says_what_the_untrained_network_says():
    cohort = beside([UNSURE, UNSURE], [SURE, SURE], untrained=[UNSURE, UNSURE])
    assert ZeroRetrainForgetting().estimate(cohort).value == 1
    assert ZeroRetrainForgetting().floor(cohort).value == pytest.approx(1 - TO_UNSURE), "Retrain's own"


def test_without_untrained_networks_it_says_what_it_needs():
    found = ZeroRetrainForgetting().estimate(beside([SURE, SURE], [SURE, SURE]))
    assert np.isnan(found.value)
    assert found.note == "needs trials of the method untrained"
