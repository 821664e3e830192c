"""All pages of a results directory, by their paths: the comparison, each configuration, each trial."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache, partial
from pathlib import Path

import pandas as pd

from analysis.pages.configuration import configuration_values, index_values
from analysis.pages.naming import named
from analysis.pages.overview import overview_values
from analysis.pages.plan import Plan
from analysis.pages.predictions import model_of
from analysis.pages.progress import progress
from analysis.pages.running import MOST_RUNNING, running_values, runs
from analysis.pages.samples import Open, Samples
from analysis.pages.trial import trial_values
from analysis.reading.frames import Frames
from analysis.reruns import stored_sections
from analysis.templates import environment
from analysis.wording.page_names import CONFIGURATIONS
from analysis.wording.words import joined
from sweep.store.results import Results
from sweep.store.running import Running

MOST_MODELS = 16
"""So many models' predictions stay in memory: Retrain and Original of a seed are those of many pages."""

OVERVIEW, INDEX = "index.html", f"{CONFIGURATIONS}/index.html"


class Site:
    """The pages of a results directory as it was when its frames were read.

    Attributes:
        trials: every trial that is stored once for each method it is compared as, those that only judged suggestions
            too (column `searched`), with the columns that `named` adds.
    """

    def __init__(
        self,
        frames: Frames,
        results: Results,
        open_samples: Open = lambda config: Samples(),
        plan: Callable[[], Plan] = str,
        seconds: int = 0,
    ) -> None:
        """Reads nothing more yet.

        Args:
            frames: of `results`; traces are not needed.
            open_samples: where a trial's data set comes from.
            plan: what the overview counts against, as far as it is known when this is called.
            seconds: how often pages look for what is new, those of trials that have ended excepted; 0: they are files,
                and never do.
        """
        self.frames, self.results = frames, results
        self._open, self._plan, self._seconds = open_samples, plan, seconds
        self.trials = _labelled(frames)
        self._made: tuple[tuple[Plan, tuple[Running, ...]], str] | None = None
        self._model = lru_cache(MOST_MODELS)(partial(model_of, results))

    @cached_property
    def paths(self) -> list[str]:
        """Every page but the overview, which a report replaces."""
        return [INDEX, *self._configurations, *self._places]

    def page(self, path: str, running: Sequence[Running] = ()) -> str | None:
        """The page at a path; None if there is none.

        Args:
            running: the trials that run, or ran until a worker was killed. Each has a page, where its own will be.

        Raises:
            OSError: the results cannot be read.
        """
        if path == OVERVIEW:
            return self._overview(running)
        if path == INDEX:
            return self._render("configurations", index_values(self.trials), "../")
        if path in self._configurations:
            rows = self.trials.loc[self._configurations[path]]
            return self._render("configuration", configuration_values(rows), "../")
        run = runs(running, self.trials).get(path)
        if path in self._places:
            return self._render("trial", {"run": run, **self._trial(path)}, "../", follows=run is not None)
        if run is not None:
            configuration = str(run.row["page"]) in self._configurations
            return self._render("running", running_values(run, configuration), "../")
        return None

    def _overview(self, running: Sequence[Running]) -> str:
        made_of = self._plan(), tuple(running)
        if self._made is None or self._made[0] != made_of:
            listed = [*runs(running, self.trials).values()]
            values = {"progress": progress(self.frames, made_of[0]), "runs": listed, "most": MOST_RUNNING}
            self._made = made_of, self._render("overview", {**values, **self._comparison}, "")
        return self._made[1]

    @cached_property
    def _comparison(self) -> Mapping[str, object]:
        return overview_values(self.frames, self.trials)

    def _trial(self, path: str) -> Mapping[str, object]:
        row = self.trials.iloc[self._places[path]]
        places = (self._references.get((method, row["task_id"], row["seed"])) for method in ("retrain", "original"))
        retrain, original = (None if place is None else self.trials.iloc[place] for place in places)
        samples = self._open(str(row["config"]))
        return trial_values(row, retrain, original, self.results, self._model, samples, self._stored)

    @cached_property
    def _references(self) -> dict[tuple[str, str, int], int]:
        """The rows that ended ok, by method, task and seed."""
        ok = self.trials[self.trials["status"] == "ok"]
        keys = zip(ok["method"], ok["task_id"], ok["seed"], strict=True)
        return dict(zip(keys, ok.index, strict=True))

    @cached_property
    def _configurations(self) -> dict[str, list[int]]:
        """The rows of each configuration's page."""
        groups = self.trials.groupby("page", sort=False).groups
        return {str(page): [*rows] for page, rows in groups.items()}

    @cached_property
    def _places(self) -> dict[str, int]:
        """The row of each trial's page."""
        first = self.trials.drop_duplicates("trial_page")
        return dict(zip(first["trial_page"], first.index, strict=True))

    @cached_property
    def _stored(self) -> Mapping[str, object]:
        text = (self.results.read("spec.yaml") or b"").decode("utf-8", errors="replace")
        return stored_sections(text)

    @cached_property
    def _name(self) -> str:
        return joined(sorted(self.trials["sweep"].unique())) if len(self.trials) else Path(self.results.location).name

    def _render(self, template: str, values: Mapping[str, object], root: str, follows: bool = True) -> str:
        seconds = self._seconds if follows else 0
        shared = {"root": root, "sweep": self._name, "seconds": seconds, "directory": self.results.location}
        shared |= {"script": SCRIPT, "script_hash": SCRIPT_HASH}
        return TEMPLATES.get_template(f"pages/{template}.html.jinja").render(**shared, **values)


TEMPLATES = environment()
SCRIPT = "\n".join(TEMPLATES.get_template(name).render() for name in ("pages/following.js.jinja", "sorting.js.jinja"))
SCRIPT_HASH = f"sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}"
"""The only script that a browser runs on these pages, by its hash. It reads what was served before it sorts."""


def _labelled(frames: Frames) -> pd.DataFrame:
    tables = [frames.trials.assign(searched=False)]
    judged = frames.searched[~frames.searched["trial_id"].isin(frames.trials["trial_id"])]
    if len(judged):
        tables.append(judged.assign(searched=True))
    trials = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
    return named(trials)
