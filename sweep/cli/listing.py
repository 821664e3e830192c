"""The command `list`: what a spec may name, each with what it is; with names, all about these."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from sweep.cli.completion import completed
from sweep.errors import InputError, nearest

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from methods import Method
    from sweep.store.metrics import Metric

listing = typer.Typer(help="List what a spec may name.", no_args_is_help=True)


def _argument(what: str) -> Any:
    help_ = "All about these; a plugin as package.module:attribute."
    return typer.Argument(metavar="[NAME]...", help=help_, autocompletion=completed(what))


MethodNames = Annotated[list[str] | None, _argument("methods")]
PresetNames = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Print these.", autocompletion=completed("presets"))
]
DatasetNames = Annotated[list[str] | None, _argument("datasets")]
ModelNames = Annotated[list[str] | None, _argument("models")]
KindNames = Annotated[list[str] | None, _argument("kinds")]
MetricNames = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME]...", help="Only these: columns, abbreviations, scores.", autocompletion=completed("metrics")
    ),
]


@listing.command()
def methods(names: MethodNames = None) -> None:
    """List the methods: family, the sets that each reads, its cost in passes; or all about the methods named."""
    from methods import METHODS
    from sweep.spec.plugins import find_method

    console = Console()
    if names:
        for name in names:
            _describe(console, name, find_method(name))
        return
    rows = [(name, method.family, method.needs) for name, method in METHODS.items()]
    for words, method in zip(_columns([("method", "family", "reads"), *rows]), [None, *METHODS.values()], strict=True):
        _entry(console, words, "passes" if method is None else method.cost)
    console.print("\nPasses: forward and backward passes of one sample.")
    console.print("n_r, n_f, n: samples of the retain set, the forget set, and both.")
    console.print("unlearn-sweep list methods NAME: what it does, and its hyperparameters.")


@listing.command()
def presets(names: PresetNames = None) -> None:
    """List the presets, with what each asks; or print the presets named."""
    from sweep.spec.spec_file import presets as shipped

    console, known = Console(), shipped()
    for name in names or ():
        if name not in known:
            raise InputError(f"unknown preset '{name}'; {nearest(name, known)}")
        console.print(known[name], markup=False, highlight=False, soft_wrap=True)
    if not names:
        for name, text in known.items():
            _entry(console, name, text.partition("\n")[0].removeprefix("# "))
        console.print("\nunlearn-sweep list presets NAME: the whole spec.")


@listing.command()
def datasets(names: DatasetNames = None) -> None:
    """List the data sets with their kinds of task; or all about the data sets named, with their options."""
    from sweep.spec.options import option_model
    from sweep.spec.plugins import find_dataset, find_kind
    from sweep.tasks.dataset import kind_of
    from sweep.tasks.datasets import DATASETS

    console = Console()
    for name in names or ():
        found = find_dataset(name)
        _card(console, name, f"for {find_kind(name).name}", found.__doc__)
        _options(console, option_model(found).model_fields)
        console.print("and, as any of its kind:", highlight=False)
        shared = find_kind(name).dataset_keys.model_fields
        _options(console, {key: each for key, each in shared.items() if key != "name"})
    if not names:
        heads = _columns([(name, kind_of(dataset).name) for name, dataset in DATASETS.items()])
        for head, dataset in zip(heads, DATASETS.values(), strict=True):
            _entry(console, head, _sentence(dataset.__doc__))
        console.print("\nunlearn-sweep list datasets NAME: its options.")


@listing.command()
def models(names: ModelNames = None) -> None:
    """List the networks; or all about the networks named, with their options."""
    from sweep.spec.options import option_model
    from sweep.spec.plugins import find_model
    from sweep.spec.sweep_spec import PROVIDED_TO_MODELS
    from sweep.tasks.models import MODELS, torchvision_names

    console = Console()
    for name in names or ():
        builder = find_model(name)
        text = f"torchvision's {name}, with random weights." if name in torchvision_names() else None
        _card(console, name, "", text or getattr(builder, "build", builder).__doc__)
        _options(console, option_model(builder, PROVIDED_TO_MODELS).model_fields)
    if not names:
        for name, builder in MODELS.items():
            _entry(console, name, _sentence(getattr(builder, "build", builder).__doc__))
        console.print("\nand the classifiers of torchvision, for images of a size that each takes:")
        _entry(console, "", ", ".join(torchvision_names()))
        console.print("\nunlearn-sweep list models NAME: its options.")


@listing.command()
def kinds(names: KindNames = None) -> None:
    """List the kinds of task; or all about the kinds named, with their forget sets, data sets and metrics."""
    from sweep.spec.plugins import kind_called
    from sweep.tasks.dataset import kind_of
    from sweep.tasks.datasets import DATASETS
    from sweep.tasks.kinds import KINDS

    console = Console()
    for name in names or ():
        kind = kind_called(name)
        own = [each for each, dataset in DATASETS.items() if kind_of(dataset).name == kind.name]
        _card(console, name, "", type(kind).__doc__)
        console.print(f"forget sets: {', '.join(kind.scenarios)}", highlight=False)
        console.print(f"data sets: {', '.join(own) or 'none here'}\n", highlight=False)
        _metrics(console, kind.metrics, ())
    if not names:
        for name, kind in KINDS.items():
            _entry(console, name, _sentence(type(kind).__doc__))
        console.print("\nunlearn-sweep list kinds NAME: its forget sets, data sets and metrics.")


@listing.command()
def metrics(names: MetricNames = None) -> None:
    """List what is measured of each kind of task (column of the table of trials, abbreviation, meaning, unit), and the
    scores of the command score; or only the metrics and scores named.
    """
    from analysis.audit.scores import SCORES
    from sweep.store.metrics import FURTHER, KINDS

    measured = {kind: (*usual, *FURTHER.get(kind, ())) for kind, usual in KINDS.items()}
    known = {each for found in measured.values() for metric in found for each in (metric.column, metric.label)}
    known |= {each for score in SCORES for each in (score.name, score.label)}
    for name in names or ():
        if name not in known:
            raise InputError(f"unknown metric '{name}'; {nearest(name, known)}")
    wanted, console = {*names} if names else known, Console()
    for kind, found in measured.items():
        chosen = [metric for metric in found if {metric.column, metric.label} & wanted]
        if chosen:
            console.print(f"[bold]{kind}[/bold]", highlight=False)
            _metrics(console, chosen, FURTHER.get(kind, ()))
    scores = [score for score in SCORES if {score.name, score.label} & wanted]
    if scores:
        console.print("[bold]score[/bold]", highlight=False)
        for head, score in zip(_columns([(score.name, score.label) for score in scores]), scores, strict=True):
            _entry(console, head, "; ".join(filter(None, [score.words, score.unit])))


def _metrics(console: Console, chosen: Sequence[Metric], further: Sequence[Metric]) -> None:
    """Print each metric, of those that are `further` that they lie in the column `other`."""
    heads = _columns([(metric.column, metric.label) for metric in chosen])
    for head, metric in zip(heads, chosen, strict=True):
        where = "; in the column other" if metric in further else ""
        _entry(console, head, f"{metric.words}; {metric.unit}{where}")
    console.print()


def _card(console: Console, name: str, what: str, text: str | None) -> None:
    """Print a name, and all that its docstring says."""
    console.print(f"{name}  {what}".rstrip(), style="bold", markup=False, highlight=False)
    console.print(inspect.cleandoc(text or "No description."), markup=False, highlight=False)
    console.print()


def _options(console: Console, fields: Mapping[str, FieldInfo]) -> None:
    """Print what a spec may say of something: each key with its default, and below it what it means."""
    rows = [(key, "required" if each.is_required() else _written(each.default)) for key, each in fields.items()]
    for head, each in zip(_columns(rows) if rows else (), fields.values(), strict=True):
        _entry(console, head, each.description or "")
    console.print()


def _written(value: object) -> str:
    """A default as a spec says it."""
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _sentence(text: str | None) -> str:
    """The first paragraph of a docstring on one line."""
    return " ".join(inspect.cleandoc(text or "No description.").partition("\n\n")[0].split())


def _describe(console: Console, name: str, method: type[Method]) -> None:
    import dataclasses
    from typing import Literal, get_args, get_origin, get_type_hints

    from rich.markdown import Markdown
    from rich.markup import escape

    from methods import Range

    lines = inspect.cleandoc(method.__doc__ or "").splitlines()
    card = "\n".join(line if line.startswith("    ") else line.replace("`", r"\`") for line in lines)
    console.print(f"[bold]{escape(name)}[/bold]  [dim]{escape(method.source)}[/dim]")
    kinds = " and ".join(method.kinds) if method.kinds else "data sets of any kind"
    console.print(f"for {kinds}; reads {method.needs}; passes: {method.cost or 'not said'}\n", highlight=False)
    console.print(Markdown(card, code_theme="ansi_dark"))
    hints, rows, meanings = get_type_hints(method), [], []
    for item in dataclasses.fields(method):
        search = item.metadata.get("search")
        if isinstance(search, Range):
            found = f"{search.low:g} to {search.high:g}{', log' if search.log else ''}"
        elif get_origin(hints[item.name]) is Literal:
            found = " | ".join(map(str, get_args(hints[item.name])))
        else:
            found = ""
        rows.append((item.name, "null" if item.default is None else str(item.default), found))
        meanings.append(item.metadata.get("meaning", ""))
    if rows:
        console.print()
    for words, meaning in zip(_columns(rows), meanings, strict=True):
        _entry(console, words, meaning)
    console.print()


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Each row as a line, its words beginning where those of the other rows do."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _entry(console: Console, head: str, below: str) -> None:
    """Print a line, and below it, indented, what may need several."""
    from rich.padding import Padding
    from rich.text import Text

    console.print(Text(head, style="bold"), soft_wrap=True)
    console.print(Padding(Text(below), (0, 0, 0, 4), expand=False))
