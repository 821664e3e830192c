"""Sweeps over unlearning methods, from Python: `run` a spec, `load` its results, write their `report`.

Importing this package loads neither torch nor ray nor pandas; its functions load what they need.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sweep.errors import InputError, Unsuccessful

if TYPE_CHECKING:
    from analysis.loaded import Loaded

__all__ = ["InputError", "Unsuccessful", "load", "report", "run"]


def run(
    spec: str | os.PathLike[str] | Mapping[str, Any],
    out: str | os.PathLike[str] | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    executor: Literal["ray", "inline"] = "ray",
    address: str | None = None,
    refresh: bool = False,
    retry_failed: bool = False,
    time_budget: str | float | None = None,
    track: Sequence[str] = (),
) -> Loaded:
    """Run or resume a sweep, as `unlearn-sweep run` does, and return its results.

    What ended before is not run again, so after an interruption the same call runs the rest.

    Args:
        spec: path of a spec file, name of a preset, or what such a file says as a mapping.
        out: results directory or URI; `results/<name>` by default.
        overrides: values by the keys that they replace in the spec, as in `{"methods.uam.rho": [1, 2]}`.
        executor: `ray`, Ray Tune, or `inline`, this process without Ray.
        address: of a Ray cluster, or `auto`; None: this machine.
        refresh: run again the trials that another code version computed, or that kept fewer predictions.
        retry_failed: run again the trials that failed.
        time_budget: start no trial after this time, seconds or a text such as `1h30m`.
        track: `tensorboard`, `mlflow`, `wandb`: send each trial there, as it runs and once it has ended.

    Returns:
        The results of this sweep's trials, whatever else the directory holds. Trials may have failed, or not have run
        within the time budget: the last lines printed say how many, and the column `status`.

    Raises:
        InputError: a ValueError, in one line: the spec or an argument is wrong.
        Unsuccessful: Ray does not start.
        OSError: results cannot be stored.
        KeyboardInterrupt: interrupted; finished trials are stored.
    """
    with _said_in_python():
        from rich.console import Console

        from sweep.cli.arguments import ExecutorName, named
        from sweep.cli.call import budget_of, path_of, require, spec_of, trackers_of
        from sweep.cli.own_packages import require_own_packages

        require_own_packages()
        from analysis.loaded import Loaded
        from sweep.cli.run import perform, print_ends, rows_of
        from sweep.spec.plugins import require_plugins_as_imported
        from sweep.store.location import absolute_location

        require_plugins_as_imported()
        console, budget = Console(markup=False), budget_of(time_budget)
        require("overrides", overrides, isinstance(overrides, Mapping | None), "a mapping of keys to values")
        require("address", address, isinstance(address, str | None), "a text")
        require("refresh", refresh, isinstance(refresh, bool), "True or False")
        require("retry_failed", retry_failed, isinstance(retry_failed, bool), "True or False")
        ran = perform(
            console,
            spec_of(spec),
            out=None if out is None else path_of("out", out),
            overrides=overrides,
            executor=named("--executor", executor, ExecutorName),
            address=address,
            refresh=refresh,
            retry_failed=retry_failed,
            time_budget=budget,
            track=trackers_of(track),
        )
        print_ends(console, ran, rows_of(ran), budget is not None)
        return Loaded(absolute_location(ran.where), frozenset(trial.id for trial in ran.trials))


def load(directory: str | os.PathLike[str]) -> Loaded:
    """The results in a directory, or at a URI, as data frames: `trials`, `traces`, `predictions`, `suggestions`.

    Raises:
        InputError: there are no results.
    """
    from sweep.cli.own_packages import require_own_packages

    require_own_packages()
    from analysis.loaded import Loaded
    from sweep.cli.call import path_of
    from sweep.store.location import absolute_location
    from sweep.store.results import existing_results

    where = path_of("directory", directory)
    existing_results(where)
    return Loaded(absolute_location(where))


def report(directory: str | os.PathLike[str], out: str | os.PathLike[str] | None = None) -> Path:
    """Write every table and figure that the results allow, as `unlearn-sweep report` does.

    Args:
        directory: results directory or URI.
        out: where to write; `report` in the directory by default.

    Returns:
        The page that shows all of them, `index.html`.

    Raises:
        InputError: there are no results, or they are at a URI and `out` is missing.
        OSError: a file cannot be written.
    """
    with _said_in_python():
        from sweep.cli.arguments import report_folder
        from sweep.cli.call import path_of
        from sweep.cli.own_packages import require_own_packages

        require_own_packages()
        from analysis.reading.frames import read_frames
        from analysis.report import write_report
        from sweep.store.results import existing_results

        where = path_of("directory", directory)
        existing_results(where)
        folder = report_folder(where, None if out is None else path_of("out", out))
        return write_report(where, read_frames(where), folder)[-1]


@contextmanager
def _said_in_python() -> Iterator[None]:
    """Let errors name arguments in place of options, and interruptions say that nothing is lost."""
    try:
        yield
    except InputError as error:
        said = re.sub(r"^--([a-z-]+)", lambda option: option[1].replace("-", "_"), str(error))
        raise InputError(said) from None
    except KeyboardInterrupt as interrupt:
        interrupt.add_note("finished trials are stored; the same call runs the rest")
        raise
