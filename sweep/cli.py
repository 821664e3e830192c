"""The command line. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console

from sweep.duration import seconds
from sweep.errors import InputError, Unsuccessful
from sweep.exit_status import INTERRUPTED
from sweep.redaction import redacted

if TYPE_CHECKING:
    from sweep.engine import Executor
    from sweep.plan import Trial
    from sweep.reading import Rows
    from sweep.spec import Spec

T = TypeVar("T")

MOST_LINES = 500
"""Configurations that `report` prints."""

app = typer.Typer(
    help="Fair, resumable sweeps over machine-unlearning methods.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class ExecutorName(StrEnum):
    """Where trials run."""

    ray = "ray"
    inline = "inline"


class TrackerName(StrEnum):
    """Where trials can be sent."""

    tensorboard = "tensorboard"
    mlflow = "mlflow"
    wandb = "wandb"


SpecArgument = Annotated[str, typer.Argument(metavar="[SPEC]", help="A spec file, or the name of a preset.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Override a key, e.g. methods.uam.rho=[1,2].")
]
OutOption = Annotated[
    str | None, typer.Option("--out", metavar="DIR", help="Results directory or URI; results/<name> by default.")
]

AddressOption = Annotated[str | None, typer.Option(metavar="ADDR", help="Address of a Ray cluster, or 'auto'.")]
ExecutorOption = Annotated[ExecutorName, typer.Option(help="Ray Tune, or this process without Ray.")]
RefreshOption = Annotated[bool, typer.Option(help="Run again what another code version wrote.")]
RetryFailedOption = Annotated[bool, typer.Option(help="Run again the trials that failed.")]
TimeBudgetOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="Start no trial after so long, e.g. 2h or 1h30m; exit status 3.")
]
TrackOption = Annotated[
    list[TrackerName] | None, typer.Option("--track", help="Send each trial that ends there, as a run of its own.")
]


@app.command()
def run(
    spec: SpecArgument = "digits",
    out: OutOption = None,
    address: AddressOption = None,
    executor: ExecutorOption = ExecutorName.ray,
    overrides: SetOption = None,
    refresh: RefreshOption = False,
    retry_failed: RetryFailedOption = False,
    time_budget: TimeBudgetOption = None,
    track: TrackOption = None,
) -> None:
    """Run or resume a sweep, then print the comparison of its methods."""
    if address is not None and executor is ExecutorName.inline:
        raise InputError("--address: the inline executor uses no cluster; drop one of the two")
    budget = seconds("--time-budget", time_budget) if time_budget else None
    console = Console()
    from sweep.pending import adopt, of_other_code
    from sweep.results import Results

    loaded, trials, left, where, rows = _plan(spec, overrides, out, refresh, retry_failed)
    adopt(Results(where), trials, rows)
    console.print(f"{loaded.name}: {len(trials)} trials, {len(trials) - len(left)} done before, {len(left)} to run")
    for line in of_other_code(loaded, trials, left, rows):
        console.print(line, highlight=False, soft_wrap=True)
    if left or track:
        from sweep.engine import Request, run_sweep
        from sweep.pending import Again
        from sweep.tracking import Tracking

        def action() -> None:
            with Tracking(track or [], where, _warn) as tracking:
                request = Request(
                    loaded,
                    where,
                    _executor(executor),
                    address,
                    again=Again(refresh, retry_failed),
                    time_budget=budget,
                    console=console,
                    tell=tracking.ended,
                    warn=_warn,
                )
                run_sweep(request, left)

        _located(spec, action)
    from sweep.run_table import print_outcome

    with _stored(where):
        code = print_outcome(console, trials, left, rows, where, budget is not None)
    raise typer.Exit(code)


@app.command()
def search(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A spec file with a search, or the name of a preset.")],
    out: OutOption = None,
    address: AddressOption = None,
    executor: ExecutorOption = ExecutorName.ray,
    overrides: SetOption = None,
    refresh: RefreshOption = False,
    retry_failed: RetryFailedOption = False,
    time_budget: TimeBudgetOption = None,
    storage: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Let the studies live in an Optuna storage, for dashboards."),
    ] = None,
    track: TrackOption = None,
) -> None:
    """Find the hyperparameters of each method with Optuna, or go on, then compare the best on seeds of their own."""
    if address is not None and executor is ExecutorName.inline:
        raise InputError("--address: the inline executor uses no cluster; drop one of the two")
    budget = seconds("--time-budget", time_budget) if time_budget else None

    from sweep.engine import Request
    from sweep.pending import Again
    from sweep.results import Results
    from sweep.search import of_other_code, plan_search, run_search
    from sweep.search_table import print_outcome
    from sweep.spec import load_spec
    from sweep.tracking import Tracking

    loaded = load_spec(spec, overrides)
    planned = _located(spec, lambda: plan_search(loaded))
    where = out or f"results/{loaded.name}"
    results = Results(where)
    stored, suggested = results.trials(), results.suggestions()
    for found in (stored, suggested):
        _warn_of_damage(found)
    console = Console()
    names = ", ".join(definition.name for definition in planned.studies)
    console.print(f"{loaded.name}: {planned.studies[0].budget} suggestions for each of {names}", soft_wrap=True)
    for line in [] if refresh else of_other_code(planned, suggested.table.to_pylist(), stored.table.to_pylist()):
        console.print(line, highlight=False, soft_wrap=True)
    with Tracking(track or [], where, _warn) as tracking:
        request = Request(
            loaded,
            where,
            _executor(executor),
            address,
            storage,
            Again(refresh, retry_failed),
            budget,
            console,
            tracking.ended,
            _warn,
        )
        ended = _located(spec, lambda: run_search(request, planned))
    with _stored(where):
        code = print_outcome(console, where, planned, ended, budget is not None)
    raise typer.Exit(code)


@app.command()
def plan(spec: SpecArgument = "digits", out: OutOption = None, overrides: SetOption = None) -> None:
    """Count a sweep's trials and originals, and what exists already. Runs nothing."""
    from sweep.pending import of_other_code
    from sweep.plan import check_task
    from sweep.run_table import print_plan, search_words

    loaded, trials, left, where, rows = _plan(spec, overrides, out)
    if left:
        _located(spec, lambda: check_task(loaded, _warn))
    console = Console()
    print_plan(console, loaded.name, trials, left, where)
    for line in of_other_code(loaded, trials, left, rows):
        console.print(line, highlight=False, soft_wrap=True)
    if loaded.search is not None:
        console.print(f"and {search_words(loaded)}: unlearn-sweep search {spec}", highlight=False, soft_wrap=True)


@app.command()
def status(
    directory: Annotated[str, typer.Argument(metavar="DIR")],
    plugin: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A plugin to import, to count what another version of it computed."),
    ] = None,
) -> None:
    """Count the trials in a results directory by method and how they ended, and show what failed."""
    from sweep.results import existing_results
    from sweep.status_table import print_status

    results = existing_results(directory)
    trials, suggestions = results.trials(), results.suggestions()
    for found in (trials, suggestions):
        _warn_of_damage(found)
    print_status(Console(), directory, trials, suggestions, frozenset(plugin or ()))


@app.command()
def report(
    directory: Annotated[str, typer.Argument(metavar="DIR")],
    out: Annotated[str | None, typer.Option(metavar="DIR", help="Where to write; DIR/report by default.")] = None,
) -> None:
    """Write every table and figure that the results allow, and index.html, which shows them all."""
    from analysis.methods_table import methods_table, render_rich
    from analysis.reading.frames import read_frames
    from analysis.report import write_report
    from sweep.results import existing_results

    existing_results(directory)
    if out is None and "://" in directory:
        raise InputError("--out: needed where the results are at a URI")
    folder = Path(out) if out else Path(directory) / "report"
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out: {folder} is not a directory")
    with _stored(directory):
        frames = read_frames(directory)
        for problem in frames.damaged:
            _warn(problem)
        console = Console()
        table = methods_table(frames.trials)
        render_rich(table.head(MOST_LINES), console)
        if len(table) > MOST_LINES:
            console.print(f"{MOST_LINES} of {len(table)} configurations; all of them are in methods.md and methods.csv")
        for path in write_report(directory, frames, folder):
            console.print(str(path), soft_wrap=True, markup=False, highlight=False)


@app.command()
def export(
    directory: Annotated[str, typer.Argument(metavar="DIR")],
    out: Annotated[str, typer.Argument(metavar="OUT", help="A folder; a file that is there is never replaced.")],
) -> None:
    """Write each folder of results as one Parquet file, OUT/<folder>.parquet, for sharing and other programs."""
    from sweep.export import export as write
    from sweep.results import existing_results

    for done in write(existing_results(directory), out):
        for problem in done.damaged:
            _warn(f"{problem}; its rows are left out")
        if done.rows:
            print(f"{done.path}: {done.rows} rows")


@app.command()
def track(
    directory: Annotated[str, typer.Argument(metavar="DIR")],
    to: Annotated[list[TrackerName], typer.Option("--to", help="Where; may be given several times.")],
) -> None:
    """Send every trial of a results directory that was not sent yet to an experiment tracker, as a run of its own."""
    from sweep.results import existing_results
    from sweep.trackers import open_tracker
    from sweep.tracking import Sender, first_line

    results = existing_results(directory)
    for name in dict.fromkeys(to):
        sender = Sender(results, name, open_tracker(name, results, "--to"))
        try:
            sender.send_all()
        except Exception as error:
            message = f"--to {name}: {sender.count} trials sent, then: {first_line(error)}; the same command goes on"
            raise typer.Exit(_fail(message, 1)) from error
        print(f"{name}: {sender.count} trials sent, {sender.before} before")


@app.command()
def rerun(
    directory: Annotated[str, typer.Argument(metavar="DIR")],
    trial_id: Annotated[str, typer.Argument(metavar="TRIAL_ID", help="As in the column trial_id.")],
    plugin: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A plugin that the trial may import, package.module:attribute."),
    ] = None,
) -> None:
    """Run one stored trial again and compare what it gives with its row. Exit status 1 if they differ."""
    from rich.table import Table

    from sweep.rerun import COMPARED
    from sweep.rerun import rerun as run_again

    found = run_again(directory, trial_id, frozenset(plugin or ()))
    console = Console()
    console.print(f"{found.old['method']}, seed {found.old['seed']} ({trial_id})", soft_wrap=True)
    table = Table()
    for header in ("", "stored", "again", "equal"):
        table.add_column(header, justify="left" if header == "" else "right")
    for name in COMPARED:
        old, new = found.old[name], found.new[name]
        table.add_row(name, str(old), str(new), "yes" if old == new else "no")
    console.print(table)
    if found.new["error"]:
        console.print(found.new["error"], markup=False, highlight=False)
    if found.old["code_version"] != found.version:
        console.print(f"stored by code version {found.old['code_version']}, this is {found.version}", highlight=False)
    console.print("equal" if found.equal else "different")
    raise typer.Exit(0 if found.equal else 1)


@app.command()
def methods(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Only these; a plugin as package.module:attribute.")
    ] = None,
) -> None:
    """List the methods with their hyperparameters, defaults, search ranges and sources."""
    import dataclasses
    from typing import Literal, get_args, get_origin, get_type_hints

    from rich.table import Table

    from methods import METHODS, Range
    from sweep.registry import find_method

    console = Console()
    for name, method in {name: find_method(name) for name in names or METHODS}.items():
        console.print(f"[bold]{name}[/bold]  {(method.__doc__ or '').splitlines()[0]}  [dim]{method.source}[/dim]")
        hints = get_type_hints(method)
        table = Table(box=None, pad_edge=False, padding=(0, 2), show_header=False)
        for item in dataclasses.fields(method):
            search = item.metadata.get("search")
            if isinstance(search, Range):
                found = f"{search.low:g} to {search.high:g}{', log' if search.log else ''}"
            elif get_origin(hints[item.name]) is Literal:
                found = " | ".join(map(str, get_args(hints[item.name])))
            else:
                found = ""
            default = "null" if item.default is None else str(item.default)
            table.add_row(f"  {item.name}", default, found, item.metadata.get("meaning", ""))
        if table.row_count:
            console.print(table)
        console.print()


@app.command()
def schema() -> None:
    """Print the JSON schema of a spec, for editors' completion."""
    import json

    from sweep.spec import spec_schema

    typer.echo(json.dumps(spec_schema(), indent=2))


def _plan(
    spec: str, overrides: list[str] | None, out: str | None, refresh: bool = False, retry_failed: bool = False
) -> tuple[Spec, list[Trial], list[Trial], str, dict[str, dict[str, Any]]]:
    """The spec, its trials, those that are to be run, the results directory, and what is known of its rows, by id."""
    from sweep.pending import Again, pending
    from sweep.plan import plan_trials
    from sweep.results import Results
    from sweep.spec import load_spec

    loaded = load_spec(spec, overrides)
    if not loaded.methods:
        raise InputError(f"{spec}: methods: required, and missing; to run its search: unlearn-sweep search {spec}")
    trials = _located(spec, lambda: plan_trials(loaded))
    where = out or f"results/{loaded.name}"
    found = Results(where).trials(["status", "study", "code_version", "original_version", "finished_at"])
    _warn_of_damage(found)
    rows = {row["trial_id"]: row for row in found.table.to_pylist()}
    return loaded, trials, pending(trials, rows, Again(refresh, retry_failed)), where, rows


def _executor(chosen: ExecutorName) -> Executor:
    from sweep.engine import INLINE
    from sweep.ray_tune import RAY

    return RAY if chosen is ExecutorName.ray else INLINE


@contextmanager
def _stored(where: str) -> Iterator[None]:
    """What only shows results: if it fails by a fault of ours, the traceback is followed by that nothing is lost.

    Raises:
        Unsuccessful: it failed.
    """
    try:
        yield
    except (InputError, Unsuccessful, OSError, typer.Exit):
        raise
    except Exception as error:
        traceback.print_exc()
        why = f"{type(error).__name__} while results were shown, a fault of this program"
        raise Unsuccessful(f"{why}: all results are stored in {where}") from error


def _located(spec: str, action: Callable[[], T]) -> T:
    """What `action` returns; bad input that it finds is named with the spec it is in."""
    try:
        return action()
    except InputError as error:
        raise InputError(str(error) if str(error).startswith(("--", "RAY_")) else f"{spec}: {error}") from error


def _warn_of_damage(found: Rows) -> None:
    for problem in found.damaged:
        _warn(f"{problem}; it counts as absent")


def _warn(message: str) -> None:
    print(f"warning: {redacted(message)}", file=sys.stderr)


def main() -> NoReturn:
    """Console script: 0 all trials ended, 1 some failed or were not stored, 2 bad input, 3 no time, 130 interrupted."""
    try:
        _require_own_packages()
        code = app(standalone_mode=False)
        if code == INTERRUPTED:  # typer turns Ctrl-C into this status, and says nothing
            raise KeyboardInterrupt
    except InputError as error:
        code = _fail(str(error), 2)
    except Unsuccessful as error:
        code = _fail(str(error), 1)
    except typer.TyperException as error:
        code = _fail(error.format_message().replace("Value error, ", ""), 2)  # names the option
    except (KeyboardInterrupt, typer.Abort):
        code = _fail("interrupted; finished trials are kept, and the same command runs the rest", INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        code = _fail(f"{error}; what was stored before is kept", 1)
    sys.exit(code)


def _require_own_packages() -> None:
    """Refuse to run with modules of somebody else's that PYTHONPATH puts in the place of ours."""
    for name in ("analysis", "methods"):
        found = find_spec(name)
        place = None if found is None else found.origin or next(iter(found.submodule_search_locations or ()), None)
        if place is None or Path(place).parent.resolve() != Path(__file__).parents[1].resolve() / name:
            raise InputError(f"PYTHONPATH: {place} hides this project's package '{name}'; give it another name")


def _fail(message: str, code: int) -> int:
    if message:
        print(f"unlearn-sweep: {redacted(' '.join(message.split()))}", file=sys.stderr)
    return code
