"""The columns of every table of a results directory. pyarrow only."""

from __future__ import annotations

import pyarrow as pa

from sweep.store.metrics import KINDS, OF_WEIGHTS

METRICS = tuple(dict.fromkeys(metric.column for metrics in KINDS.values() for metric in metrics))
"""Every column of `trials` with a metric; see `sweep.store.metrics`. A trial has those of its kind of task."""

MEASURED = (*METRICS, "unlearn_seconds", "eval_seconds", "samples_processed", "peak_memory_bytes")
"""Columns of `trials` that say how good a trial's model is, and what it cost."""

VARYING = ("unlearn_seconds", "eval_seconds", "peak_memory_bytes", "host", "started_at", "finished_at")
"""Columns of `trials` that may differ between two runs of a trial by the same code; its metrics do not."""

REFERENCES = ("original", "retrain", "untrained")
"""The methods that all others are compared with. No search tunes them, and none of them is ranked."""

TRIALS = pa.schema(
    [
        pa.field("trial_id", pa.string(), nullable=False),
        pa.field("task_id", pa.string(), nullable=False),
        pa.field("original_id", pa.string()),
        pa.field("sweep", pa.string(), nullable=False),
        pa.field("study", pa.string()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("error", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("seed", pa.int32(), nullable=False),
        pa.field("scenario", pa.string(), nullable=False),
        pa.field("forget_ratio", pa.float64()),
        pa.field("forget_fold", pa.int32()),
        pa.field("forget_class", pa.int64()),
        pa.field("forget_class_name", pa.string()),
        pa.field("forget_rows", pa.string()),
        pa.field("n_retain", pa.int32()),
        pa.field("n_forget", pa.int32()),
        pa.field("method", pa.string(), nullable=False),
        pa.field("params", pa.string(), nullable=False),
        pa.field("config", pa.string(), nullable=False),
        *(pa.field(metric, pa.float64()) for metric in METRICS),
        pa.field("other", pa.string()),
        pa.field("unlearn_seconds", pa.float64()),
        pa.field("eval_seconds", pa.float64()),
        pa.field("samples_processed", pa.int64()),
        pa.field("peak_memory_bytes", pa.int64()),
        pa.field("n_traces", pa.int32()),
        pa.field("n_predictions", pa.int64()),
        pa.field("kept_predictions", pa.string()),
        pa.field("device", pa.string()),
        pa.field("precision", pa.string()),
        pa.field("notes", pa.string()),
        pa.field("threads", pa.int32()),
        pa.field("host", pa.string()),
        pa.field("code_version", pa.string(), nullable=False),
        pa.field("original_version", pa.string()),
        pa.field("original_sha256", pa.string()),
        pa.field("model_sha256", pa.string()),
        pa.field("started_at", pa.timestamp("us", tz="UTC")),
        pa.field("finished_at", pa.timestamp("us", tz="UTC")),
    ]
)
TRIALS_NOTES = """
Columns of `trials`. `config` is the canonical JSON whose hash is `trial_id`; `task_id` is shared by the trials that
differ only in seed and method. The forgotten class goes by its label in the data: `forget_class` if that is an integer,
`forget_class_name` if it is text. `forget_fold` is null where a seed drew its own forget set; `forget_rows` is the hash
of a list of rows, which lies in `rows`. `mia` is fitted on retain and test samples, `validation_mia` on retain and
validation samples: a search may read the latter. `code_version` is of the code that computed the row,
`original_version` of the code that trained the original it started from: null if it started from none. `n_traces` and
`n_predictions` count the trial's rows in those tables: where they are 0, what lies there under its id is of an earlier
run. `kept_predictions` is which were kept, as the spec's `predictions` says it: true, forget or all; null where there
are none, and in older rows, which have what true meant then. `original_sha256` is of the weights that the trial started
from, `model_sha256` of those that it ended with. `notes` is what the method says of its result, as JSON: epsilon, delta
and the assumptions they rest on, for instance. `kind` is the kind of task, null for classification; `other` is what a
kind measures beyond the columns there are, as JSON: `FURTHER` in `sweep.store.metrics`, or what a plugin's kind has.
`forget_information` is null where the spec does not ask for it, and like `weight_distance` where it cannot be taken:
then `notes` says why. `weight_distance` is null, too, where a trial starts from no original.

`precision` is what forward passes of training and unlearning were computed in, whatever the spec left to the device:
bfloat16, float32, or tf32. The evaluation of what came of it, and with it metrics and predictions, is in float32
whatever this says; a network whose weights are bfloat16 themselves is evaluated as it is. Older rows, which have
predictions and no `kept_predictions`, were evaluated in `precision` too.

Where a class is forgotten, test and validation samples are those of the other classes, in the accuracies and in the
attacks; `forgotten_test_accuracy` is of that class's test samples: null where there are none, or no class is forgotten.

With label noise, retain and forget samples have the label that they were trained on, in their accuracies and in the
attacks; test and validation samples have their true one. A forgotten class is all samples that truly belong to it. Some
of them were trained on under another label, and of those `forget_accuracy` says whether that label is remembered; some
retain samples bear the forgotten class's label. So Retrain's `forget_accuracy` is not quite 0."""

TRACES = pa.schema(
    [
        pa.field("trial_id", pa.string(), nullable=False),
        pa.field("epoch", pa.int32(), nullable=False),
        pa.field("step", pa.int64(), nullable=False),
        pa.field("seconds", pa.float64(), nullable=False),
        pa.field("samples", pa.int64(), nullable=False),
        pa.field("retain_loss", pa.float64()),
        pa.field("forget_loss", pa.float64()),
        pa.field("gradient_cosine", pa.float64()),
        pa.field("gradient_degrees", pa.float64()),
        pa.field("hessian_ratio", pa.float64()),
        pa.field("residual", pa.float64()),
        pa.field("probe_retain_loss", pa.float64()),
        pa.field("probe_forget_loss", pa.float64()),
        pa.field("probe_retain_accuracy", pa.float64()),
        pa.field("probe_forget_accuracy", pa.float64()),
        pa.field("probe_cosine", pa.float64()),
        pa.field("probe_degrees", pa.float64()),
        pa.field("other", pa.string()),
    ]
)
TRACES_NOTES = """
Columns of `traces`. `probe_*` are measured on the same retain and forget samples at every point of every method;
`probe_degrees` is the angle between the two mean gradients. The columns before them are what the method itself saw,
averaged over the epoch; values that it records under another name are in `other`, as JSON."""

PREDICTIONS = pa.schema(
    [
        pa.field("trial_id", pa.string(), nullable=False),
        pa.field("sample_id", pa.int64(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("label", pa.int64()),
        pa.field("target", pa.float64()),
        pa.field("logits", pa.list_(pa.float16())),
        pa.field("outputs", pa.list_(pa.float32())),
    ]
)
PREDICTIONS_NOTES = """
Columns of `predictions`. `sample_id` is the row in the dataset's own training (retain, forget, validation) or test
data; `label` is the one trained on, with its noise (retain, forget), or the true one (test, validation). `test` and
`validation` are all such data, also that of a forgotten class. `retain` is the members that `mia` is fitted on. Where
no seed changes the forget set (a fold, a list of rows) it is as many, but the first of one order of the data set: the
same in every seed, as far as no validation or reference part has them. With `predictions: all` it is every retain
sample. Kinds of task whose targets are numbers have `target` and `outputs` in the place of `label` and `logits`. Of
language, `validation` and `validation_outsiders` are rows of the test data and of the outsiders."""


_OF_WEIGHTS = {metric.column for metric in OF_WEIGHTS}

RELEARNED = pa.schema(
    [
        pa.field("trial_id", pa.string(), nullable=False),
        pa.field("relearning_id", pa.string(), nullable=False),
        pa.field("recipe", pa.string(), nullable=False),
        pa.field("model_sha256", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("epoch", pa.int32(), nullable=False),
        pa.field("step", pa.int64(), nullable=False),
        pa.field("seconds", pa.float64(), nullable=False),
        *(pa.field(metric, pa.float64()) for metric in METRICS if metric not in _OF_WEIGHTS),
        pa.field("other", pa.string()),
        pa.field("n_predictions", pa.int64(), nullable=False),
    ]
)
RELEARNED_NOTES = """
Columns of `relearned`: what a copy of a trial's model does as it is fine-tuned, a row per point of its path.
`relearning_id` is the hash of `recipe`, JSON (`sweep.store.relearning`); `model_sha256` is of the model that was
copied: rows count where it is that of the trial's row, and else are of an earlier run that led to other weights. The
row of step 0 has all that the trial's row has, the last one all of the relearned model; those between have the metrics
of the forget set: after each epoch on the retain set, each step on the forget set. `seconds` counts from the start,
measuring included. `status` is ok or diverged; then the last row has no metrics. `n_predictions` counts the rows of
`relearned_predictions`."""

RELEARNED_PREDICTIONS = pa.schema([PREDICTIONS.field(0), RELEARNED.field(1), *list(PREDICTIONS)[1:]])
RELEARNED_PREDICTIONS_NOTES = (
    """Columns of `relearned_predictions`: what relearned models say of the forget set, as in `predictions`."""
)

SUGGESTIONS = pa.schema(
    [
        pa.field("study", pa.string(), nullable=False),
        pa.field("sweep", pa.string(), nullable=False),
        pa.field("method", pa.string(), nullable=False),
        pa.field("task_id", pa.string(), nullable=False),
        pa.field("number", pa.int32(), nullable=False),
        pa.field("params", pa.string(), nullable=False),
        pa.field("space", pa.string(), nullable=False),
        pa.field("sampler", pa.string(), nullable=False),
        pa.field("objectives", pa.list_(pa.string()), nullable=False),
        pa.field("trial_ids", pa.list_(pa.string()), nullable=False),
        pa.field("confirm_trial_ids", pa.list_(pa.string()), nullable=False),
        pa.field("suggested_at", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)
SUGGESTIONS_NOTES = """
Columns of `suggestions`. `number` counts a study's suggestions from 0; `params` are all hyperparameters, as in
`trials`; `space` is JSON: for each searched hyperparameter its distribution; `trial_ids` has one trial per search seed,
in the order in which they run; `confirm_trial_ids` one per confirmation seed, empty unless it was confirmed. How a
suggestion ended follows from the rows of its trials: all ended, or one of them `pruned`."""

ROWS = pa.schema(
    [
        pa.field("forget_rows", pa.string(), nullable=False),
        pa.field("sample_id", pa.int64(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
    ]
)
ROWS_NOTES = """
Columns of `rows`: lists of rows of the dataset's own training data that were to be forgotten. `forget_rows` is the
hash of a list's rows, as in `trials`; `source` is the file that they were last read from."""

FOLDERS = {
    "trials": TRIALS,
    "traces": TRACES,
    "predictions": PREDICTIONS,
    "suggestions": SUGGESTIONS,
    "rows": ROWS,
    "relearned": RELEARNED,
    "relearned_predictions": RELEARNED_PREDICTIONS,
}
"""The folders whose files together are one table each."""

NOTES = {
    "trials": TRIALS_NOTES,
    "traces": TRACES_NOTES,
    "predictions": PREDICTIONS_NOTES,
    "suggestions": SUGGESTIONS_NOTES,
    "rows": ROWS_NOTES,
    "relearned": RELEARNED_NOTES,
    "relearned_predictions": RELEARNED_PREDICTIONS_NOTES,
}
"""What a reader of each table must know beyond what `column_words` says of its columns."""
