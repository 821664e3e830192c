"""What all figures share: their form, their colours, their files, their command."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import matplotlib
import pandas as pd
import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.reading.frames import Frames
from analysis.reading.script import bad_input_in_one_line, frames_of
from analysis.reading.tuning import untuned_name
from analysis.wording.names import task_labels
from sweep.errors import InputError
from sweep.store.location import local_path

FORMATS = ("png", "pdf", "svg")
WIDTH = 4.8
"""Inches; scaled to a telephone's 320 pixels, a 9-point letter is still 8 pixels high."""

SCREEN_DPI = 100
"""Pixels to an inch where a notebook shows a figure."""


@dataclass(frozen=True)
class Drawn:
    """A figure and what it shows.

    Attributes:
        name: the module's name, and the files' stem.
        question: what the figure answers; its heading.
        figure: the picture.
        finding: one sentence computed from the data.
        alt: the picture in words, for those who do not see it.
    """

    name: str
    question: str
    figure: Figure
    finding: str
    alt: str

    def _repr_png_(self) -> bytes:
        """The picture as notebooks ask for it."""
        stream = io.BytesIO()
        with matplotlib.rc_context(SETTINGS):
            self.figure.savefig(stream, format="png", dpi=SCREEN_DPI)
        return stream.getvalue()


@dataclass(frozen=True)
class Skipped:
    """A figure that these results do not allow; the reason names the preset that provides what it needs."""

    name: str
    reason: str


Draw = Callable[[Frames], Drawn | Skipped]


Line = Literal["-", "--", "-.", ":"]


@dataclass(frozen=True)
class Style:
    """How a method looks in every figure: told apart by colour, by marker and by line."""

    color: str
    marker: str
    line: Line
    filled: bool = True

    @property
    def face(self) -> str:
        """The colour inside its markers."""
        return self.color if self.filled else "white"


STYLES = {  # colours of Okabe & Ito (2008), distinguishable without colour vision, of different lightness in print
    "original": Style("#999999", "x", "-"),
    "retrain": Style("#000000", "*", "-"),
    "uam": Style("#0072B2", "o", "-"),
    "finetune": Style("#E69F00", "s", "--"),
    "neggrad": Style("#D55E00", "v", "-."),
    "randomlabel": Style("#CC79A7", "D", "-."),
    "fisher": Style("#009E73", "^", ":"),
    "influence": Style("#56B4E9", "P", ":"),
}
COLORS: list[tuple[str, Line]] = [("#8C510A", "-"), ("#5E3C99", "--"), ("#01665E", "-."), ("#7F7F00", ":")]
MARKERS = "h<>dXp8"
OTHERS = [Style(color, MARKERS[place % 7], line) for place, (color, line) in enumerate(COLORS * 7)]  # no two the same
"""For all other methods, in alphabetical order of their names."""


@dataclass(frozen=True)
class Form:
    """How figures are made.

    Attributes:
        width: in inches, in place of each figure's own; None: that.
        caption: whether what a reader must know is written below the figure.
        captions: of the figures made since, whether they are written there or not.
    """

    width: float | None = None
    caption: bool = True
    captions: list[str] = field(default_factory=list)


_form: ContextVar[Form] = ContextVar("form")


def current_form() -> Form:
    """The form of figures that are made now."""
    return _form.get(Form())


@contextmanager
def formed(form: Form) -> Iterator[None]:
    """Give the figures that the body makes this form."""
    token = _form.set(form)
    try:
        yield
    finally:
        _form.reset(token)


SETTINGS: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "figure.constrained_layout.use": True,
}


def styles(methods: list[str]) -> dict[str, Style]:
    """The style of each method, the same in every figure of the same results. A tuned method's markers are hollow."""
    own = {name: untuned_name(name) for name in methods}
    others = sorted(set(own.values()) - set(STYLES))
    looks = STYLES | {name: OTHERS[place % len(OTHERS)] for place, name in enumerate(others)}
    tuned = {name: replace(looks[base], filled=False) for name, base in own.items() if name != base}
    return looks | tuned


def hollow_words(methods: Iterable[str]) -> str:
    """What hollow markers mean, as a sentence to append; empty where none of the methods has them."""
    return " Hollow: tuned." if any(name != untuned_name(name) for name in methods) else ""


def new_figure(width: float = WIDTH, height: float = 3.6, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty figure (inches) and its axes in reading order; no display and no pyplot state is involved."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(current_form().width or width, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.flat)


def draw_hollow_key(figure: Figure, methods: Iterable[str]) -> None:
    """Say above the figure what filled and hollow markers mean, if one of the methods was tuned."""
    if not hollow_words(methods):
        return
    looks = (("untuned", "#555555"), ("tuned", "white"))
    handles = [
        Line2D([], [], color="#555555", marker="o", linestyle="none", markerfacecolor=face, markersize=6, label=words)
        for words, face in looks
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=2, fontsize=9, frameon=False, borderpad=0)


def only_task(frames: Frames, words: str) -> Frames:
    """The rows of the only task whose words contain these.

    Raises:
        InputError: there is none, or there are several.
    """
    every = pd.concat([frames.trials, frames.searched]).drop_duplicates("task_id")
    tasks = dict(zip(every["task_id"], task_labels(every), strict=True)) if len(every) else {}
    found = [task for task, label in tasks.items() if words in label]
    if len(found) != 1:
        which = "several tasks have" if found else "no task has"
        raise InputError(f"--task: {which} '{words}'; there are: {'; '.join(sorted(tasks.values())) or 'none'}")

    def here(rows: pd.DataFrame) -> pd.DataFrame:
        chosen: pd.DataFrame = rows[rows["task_id"] == found[0]].reset_index(drop=True)
        return chosen

    return replace(
        frames, trials=here(frames.trials), searched=here(frames.searched), suggestions=here(frames.suggestions)
    )


def save(drawn: Drawn, out: Path) -> list[Path]:
    """Write the figure as PNG, PDF and SVG; returns the files.

    Raises:
        OSError: a file cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"{drawn.name}.{suffix}" for suffix in FORMATS]
    metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}
    with matplotlib.rc_context(SETTINGS | {"svg.hashsalt": drawn.name}):
        for path in paths:
            drawn.figure.savefig(path, dpi=160, metadata=metadata[path.suffix[1:]])
    return paths


def run_figure(draw: Draw) -> None:
    """The command of a figure's module: python -m analysis.<name> DIR [--out DIR] and what papers ask for."""

    def main(
        directory: Annotated[str, typer.Argument(metavar="DIR", help="A results directory, or its URI.")],
        out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where to write; DIR/report by default.")] = None,
        task: Annotated[
            str | None, typer.Option(metavar="WORDS", help="Of several tasks the one whose words contain these: '5 %'.")
        ] = None,
        caption: Annotated[
            bool, typer.Option(help="Write below the figure what a reader must know; without, only print it.")
        ] = True,
        width: Annotated[
            float | None, typer.Option(metavar="INCHES", min=2.0, max=20.0, help="3.3 for a column, 6.8 for a page.")
        ] = None,
    ) -> None:
        form = Form(width, caption)
        with bad_input_in_one_line():
            if (place := local_path(directory) if out is None else out) is None:
                raise InputError("a figure is written to a local folder: name one with --out")
            frames = frames_of(directory)
            if task is not None:
                frames = only_task(frames, task)
        with formed(form):
            drawn = draw(frames.beside_retrain())
        if isinstance(drawn, Skipped):
            print(f"{drawn.name}: skipped: {drawn.reason}")
            return
        print(drawn.finding)
        if not caption:
            print(*form.captions, sep="\n")
        for path in save(drawn, out or place / "report"):
            print(path)

    typer.run(main)
