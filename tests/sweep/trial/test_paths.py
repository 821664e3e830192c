"""The traces of a trial: points of the path of its method."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sweep.store.columns import TRACES, VARYING
from sweep.store.results import Results
from sweep.trial.job import Job


def test_epochs_are_traced(make_trial, run, results):
    trial = make_trial("uam", {"epochs": 2, "rho": 0.5})
    run(trial)
    traces = results.traces().table.to_pylist()
    assert [(row["trial_id"], row["epoch"]) for row in traces] == [(trial.id, epoch) for epoch in (0, 1, 2)]
    assert (traces[0]["step"], traces[0]["samples"], traces[0]["retain_loss"]) == (0, 0, None)
    for row in traces[1:]:
        assert np.isfinite([row["retain_loss"], row["forget_loss"]]).all()
        assert np.cos(np.radians(row["gradient_degrees"])) == pytest.approx(row["gradient_cosine"])


@pytest.mark.parametrize("model", ["small-cnn", "plugin_examples:forgetful"])
def test_probing_changes_no_result(make_trial, make_worker, tmp_path, model):
    trial, rows = make_trial("uam", {"epochs": 2}, model={"name": model}), []
    for every in (0, 1):
        results = Results(str(tmp_path / str(every)))
        make_worker(out=results.location, probe_every=every, probe_samples=8).run(Job(trial))
        rows.append(results.trials().table.drop_columns(list(VARYING)).to_pylist())
    assert rows[0] == rows[1]
    probed = results.traces().table.select(["epoch", "probe_retain_loss", "probe_forget_loss"]).to_pylist()
    assert [row["epoch"] for row in probed] == [0, 1, 2]
    assert None not in [value for row in probed for value in row.values()]


METHODS_ON_A_PATH = [
    ("uam", {"rho_schedule": "constant"}),
    ("uam", {}),
    ("finetune", {}),
    ("randomlabel", {}),
    ("neggrad", {"retain_weight": 0.9}),
    ("retrain", {}),
    ("fisher", {}),
]


@pytest.mark.parametrize(("method", "params"), METHODS_ON_A_PATH)
def test_the_path_ends_at_the_model_of_the_row(method, params, make_trial, make_worker, results):
    epochs = {} if method in ("retrain", "fisher") else {"epochs": 2}
    make_worker(probe_every=1, probe_samples=10**6).run(Job(make_trial(method, params | epochs)))
    (row,), end = results.trials().table.to_pylist(), results.traces().table.to_pylist()[-1]
    for part in ("retain", "forget"):
        assert end[f"probe_{part}_accuracy"] == pytest.approx(row[f"{part}_accuracy"], abs=1e-4)


def test_traces_keep_values_that_they_have_no_column_for(make_trial, run, results):
    run(make_trial("plugin_examples:Traced"))
    _, known, unknown = results.traces().table.to_pylist()
    assert results.traces().table.schema.equals(TRACES)
    assert (known["step"], known["samples"], known["gradient_degrees"]) == (3, 7, 90.0)
    assert json.loads(known["other"]) == {"surprise": 2.5}
    assert np.isnan([unknown["gradient_cosine"], unknown["gradient_degrees"]]).all()
    assert unknown["other"] is None
