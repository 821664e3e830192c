"""Which relearning a spec asks for, and which trials that ended ok have none of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from sweep.spec.sweep_spec import Spec
from sweep.store.parquet import Rows
from sweep.store.relearning import Relearning
from sweep.store.results import Results
from sweep.words import counted


def asked_relearning(spec: Spec) -> Relearning | None:
    """The recipe that a spec asks for, its defaults filled in; None if it asks for none."""
    section, training = spec.relearn, spec.training
    if section is None:
        return None
    lr = training.lr / 10 if section.lr is None else section.lr
    return Relearning(section.data, section.epochs, lr, section.batch_size or training.batch_size)


def unrelearned(
    results: Results,
    rows: Mapping[str, Mapping[str, Any]],
    recipe: Relearning | None,
    tell: Callable[[Rows], None],
) -> dict[str, datetime | None]:
    """Of each trial that ended ok and was not relearned by the recipe, by id, when it finished; none without a recipe.

    Unlearned models are not stored, so only running these trials again makes up for it.

    Args:
        rows: stored rows by trial id, with their `status` and `finished_at`.
        tell: is called with the relearned rows, to name damaged files, which count as missing.
    """
    if recipe is None:
        return {}
    relearned = results.relearned()
    tell(relearned)
    points = relearned.table.select(["trial_id", "relearning_id"]).to_pylist()
    there = {point["trial_id"] for point in points if point["relearning_id"] == recipe.id}
    return {name: row["finished_at"] for name, row in rows.items() if row["status"] == "ok" and name not in there}


def relearning_words(
    trial_ids: Collection[str], missing: Mapping[str, datetime | None], recipe: Relearning | None
) -> list[str]:
    """How many of these trials are run again to be relearned, as a line; none if there are none."""
    count = len(missing.keys() & trial_ids)
    if recipe is None or not count:
        return []
    which = counted(count, "trial done before is", "trials done before are")
    return [f"{which} run again, because unlearned models are not stored, to relearn: {recipe.words}"]
