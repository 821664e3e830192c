import pandas as pd
from made_results import row

from analysis.wording import names
from analysis.wording.names import configuration_labels
from methods import METHODS


def test_labels_spell_out_only_hyperparameters_that_vary_within_the_method():
    grid = [{"rho": rho, "gamma": 1.0, "schedule": schedule} for rho in (1.0, 2.0) for schedule in ("cosine", None)]
    rows = [row("retrain"), row("finetune", params={"lr": 0.1}), *(row("uam", params=params) for params in grid)]
    assert configuration_labels(pd.DataFrame(rows)).tolist() == [
        "retrain",
        "finetune",
        "uam (rho=1.0, schedule=cosine)",
        "uam (rho=1.0, schedule=None)",
        "uam (rho=2.0, schedule=cosine)",
        "uam (rho=2.0, schedule=None)",
    ]


def test_a_hyperparameter_that_not_every_trial_has_is_spelled_out_where_it_is():
    rows = [row("retrain"), row("uam", params={"rho": 1.0}), row("uam", params={"rho": 1.0, "layers": [1, 2]})]
    assert configuration_labels(pd.DataFrame(rows)).tolist() == ["retrain", "uam", "uam (layers=[1, 2])"]


def test_every_built_in_method_has_a_name_and_no_two_the_same():
    assert set(names.METHODS) == set(METHODS)
    assert len(set(names.METHODS.values())) == len(METHODS)
