"""What this project is to be tried for on a GPU, in the minutes that one is there.

    python benchmarks/gpu.py --out DIR --budget SECONDS [--work DIR] [--from results.tar] [--steps NAMES] [--tiny]

Runs steps in order, the most valuable first. A step that does not fit into what is left of the budget is left out, and
one that takes longer than it may is ended; the trials that it finished stay. After every step, and during it every 20
seconds, DIR holds `gpu.md`, which says what was found and what is still to be run, and `results.tar`: rows and traces,
without models and logits, about 12 kB a trial. Given with --from, it goes on from there on another day: what is done
is not done again. With --work, the next command on the same machine goes on with the models, too: no original is
trained twice. --tiny runs everything in a tiny form without a GPU.
"""

import contextlib
import importlib.util
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Annotated

import pandas as pd
import torch
import typer
import yaml
from chaos import stored, victim_of
from command_line import script
from gpu_visit import Options, Step, Visit, quoted
from machine import machine

from analysis.audit.printed import task_tables
from analysis.audit.printed import to_markdown as to_markdown_tables
from analysis.audit.scores import SCORES
from analysis.audit.table import audit
from analysis.methods_table import methods_table, to_markdown
from analysis.reading.frames import read_trials
from sweep.plan.trials import plan_trials
from sweep.spec.spec_file import read_document
from sweep.spec.sweep_spec import load_spec
from sweep.store.columns import METRICS
from sweep.store.results import Results

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Sweep(Step):
    """A preset, run until its time is spent.

    Attributes:
        folder: the results directory; sweeps with one network and recipe share it, and so each other's trials.
        preset, settings: what is run: a preset and PATH=VALUEs, as of `run`.
        share: of the GPU, for each trial.
        tail: as long as a trial may take: none is started in the last so many seconds, because one that has not ended
            is lost.
        images: whether it is about the images that came along.
        predictions: which are kept until the visit ends.
        needs: a package without which it is not run.
    """

    folder: str
    preset: str
    settings: tuple[str, ...]
    share: float
    tail: float
    images: bool = True
    predictions: str = "false"
    needs: str = ""

    def overrides(self, options: Options) -> list[str]:
        if options.tiny:
            return [*self.settings, *tiny(self.preset, [*self.settings], self.images)]
        if not self.images:
            return [*self.settings]
        data = ("dataset.name=parquet", f"dataset.path={options.data}")
        recipe = (f"training.epochs={options.epochs}",) if self.folder == "resnet18" else ()
        return [*self.settings, *data, *recipe]

    def trials(self, visit: Visit) -> list[str]:
        return [trial.id for trial in plan_trials(load_spec(self.preset, self.overrides(visit.options)))]

    def rows(self, visit: Visit) -> pd.DataFrame:
        return read_trials(str(visit.work / self.folder), self.trials(visit))

    def done(self, visit: Visit) -> bool:
        return (visit.work / self.folder / "trials").exists() and len(self.rows(visit)) == len(self.trials(visit))

    def run(self, visit: Visit, seconds: float) -> None:
        record, began = visit.record(self), time.monotonic()
        if self.needs and importlib.util.find_spec(self.needs) is None:
            record.say(f"Not run: {self.needs} is not there.")
            return
        budget = max(10, seconds - self.tail)
        gpus = f"resources.gpus={self.share if visit.options.gpu else 0}"
        settings = [word for setting in [*self.overrides(visit.options), gpus] for word in ("--set", setting)]
        out = str(visit.work / self.folder)
        words = [script(), "run", self.preset, "--out", out, "--time-budget", f"{budget:.0f}s", *settings]
        words += ["--executor", "inline"] if visit.options.tiny else []
        code, lines = visit.command([*words, "--set", f"predictions={self.predictions}"], seconds)
        took = time.monotonic() - began
        rows, planned = self.rows(visit), self.trials(visit)
        record.say(f"Visit {len(visit.machines)}: {took:.0f} s; {len(rows)} of {len(planned)} trials are there.")
        if code not in (0, 3, None):
            record.say(f"The command ended with {code}:\n\n{quoted(lines)}")
        record.text = self.findings(visit, rows)

    def findings(self, visit: Visit, rows: pd.DataFrame) -> str:
        return to_markdown(methods_table(rows)).replace("## ", "### ")


@dataclass(frozen=True)
class Audit(Sweep):
    """A sweep whose models are compared with Retrain's sample by sample, as far as this visit has their predictions."""

    def findings(self, visit: Visit, rows: pd.DataFrame) -> str:
        frame = audit(str(visit.work / self.folder), rows, by_memorisation=False)
        tables = to_markdown_tables(task_tables(frame, rows, SCORES)).replace("## ", "### ")
        return f"{super().findings(visit, rows)}\n{tables}"


@dataclass(frozen=True)
class Script(Step):
    """Another benchmark, in a short form; what it prints is what was found."""

    words: tuple[str, ...]
    needs: str = ""

    def run(self, visit: Visit, seconds: float) -> None:
        record = visit.record(self)
        if self.needs and importlib.util.find_spec(self.needs) is None:
            record.say(f"Not run: {self.needs} is not there.")
            return
        words = ["--small"] if visit.options.tiny else self.words[1:]
        words = [word.format(python=sys.executable, data=visit.options.data) for word in words]
        if self.needs and visit.options.tiny:
            words += ["--peer-python", sys.executable]
        code, lines = visit.command([sys.executable, str(HERE / self.words[0]), *words], seconds)
        record.text = quoted(lines, len(lines))
        record.done = code == 0
        if code != 0:
            how = f"ended with {code}" if code is not None else f"was ended after {seconds:.0f} s"
            record.say(f"Visit {len(visit.machines)}: it {how}.")


@dataclass(frozen=True)
class Tests(Step):
    """The tests that are skipped where there is no GPU."""

    def run(self, visit: Visit, seconds: float) -> None:
        record = visit.record(self)
        words = [sys.executable, "-m", "pytest", "-q", "-k", "gpu", "-p", "no:cacheprovider"]
        code, lines = visit.command([*words, str(HERE.parent / "tests" / "methods")], seconds)
        record.text, record.done = quoted(lines), code == 0


@dataclass(frozen=True)
class Smoke(Step):
    """Digits through Ray Tune, a process of which is killed, and without Ray."""

    def run(self, visit: Visit, seconds: float) -> None:
        record, gpu = visit.record(self), visit.options.gpu
        # Wide enough to be at work for a while: a process is to be killed while it computes.
        settings = ["seeds=[0]", "dataset.limit=600", f"training.epochs={10 if gpu else 2}"]
        settings += [] if gpu else tiny("digits", settings)
        frames, before = {}, gpu_memory()
        killing = Killing(visit.work / "smoke-ray")
        ends = time.monotonic() + seconds
        for name, share, extra in (("ray", 0.25, ()), ("inline", 1, ("--executor", "inline"))):
            chosen = [*settings, f"resources.gpus={share if gpu else 0}", "predictions=false"]
            out = visit.work / f"smoke-{name}"
            shutil.rmtree(out, ignore_errors=True)
            words = [script(), "run", "digits", "--out", str(out), *extra]
            words += [word for setting in chosen for word in ("--set", setting)]
            watch = killing.watch if name == "ray" else None
            code, lines = visit.command(words, ends - time.monotonic(), watch)
            if code != 0:
                record.say(f"The sweep {name} ended with {code}:\n\n{quoted(lines)}")
                return
            frames[name] = Results(str(out)).trials().table.to_pandas().set_index("trial_id").sort_index()
            if name == "ray":
                after = gpu_memory()
        ours, plain = frames["ray"], frames["inline"]
        differences = (ours[[*METRICS]] - plain[[*METRICS]]).abs().max()
        shown = ", ".join(f"{name} {value:g}" for name, value in differences.dropna().items())
        record.text = (
            f"- {len(ours)} trials through Ray Tune on {', '.join(sorted(set(ours['device'])))}, "
            f"{(ours['status'] == 'ok').sum()} ok; without Ray {len(plain)}. Largest difference: {shown}.\n"
            f"- {killing}\n"
            f"- Memory of the GPU in use, MiB: {before} before, {after} after the sweep through Ray.\n"
        )
        record.done = True


@dataclass
class Killing:
    """Kills a process that runs trials, once there is a row, and looks at the GPU's memory for five seconds."""

    out: Path
    rows: int = -1
    at: float = 0.0
    used: int | None = None
    least: int | None = None

    def watch(self, session: int) -> None:
        if self.rows >= 0:
            if time.monotonic() < self.at + 5 and (now := gpu_memory()) is not None:
                self.least = min(now, self.least if self.least is not None else now)
        elif self.out.exists() and (rows := len(stored(self.out))):
            victim = victim_of("worker", session, random.Random(0))
            if victim is not None:
                self.used = gpu_memory()
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    self.rows, self.at = rows, time.monotonic()

    def __str__(self) -> str:
        if self.rows < 0:
            return "No process was killed: the sweep had ended before."
        return (
            f"A process that ran trials was killed (SIGKILL) when {self.rows} rows were there; the sweep went on to "
            f"its end. Memory of the GPU in use, MiB: {self.used} then, {self.least} at the least in the 5 s after."
        )


def tiny(preset: str, settings: list[str], images: bool = True) -> list[str]:
    """What makes a preset with these settings a matter of seconds on anything."""
    _, document = read_document(preset, settings)
    changes = ["training.epochs=1"]
    if images:
        changes += ["dataset={name: digits, limit: 200}", "model={name: small-cnn, width: 4}"]
        changes += ["training.batch_size=64", "training.lr=0.1"]
    for place, method in enumerate(document["methods"]):
        changes += [f"methods.{place}.{key}={few}" for key, few in (("epochs", 1), ("samples", 100)) if key in method]
    return changes


def asked(query: str) -> str | None:
    """What nvidia-smi says of the first GPU, which may be [N/A]; None where there is none."""
    command = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.splitlines()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return None


def gpu_memory() -> int | None:
    """MiB of the first GPU that are in use, for whomever; None where nobody says."""
    used = asked("memory.used") or ""
    return int(used) if used.isdigit() else None


def described() -> str:
    """What this runs on."""
    parts = [machine(), *(f"{name} {version(name)}" for name in ("ray", "pandas"))]
    if torch.cuda.is_available():
        parts += [f"CUDA {torch.version.cuda}", f"cuDNN {torch.backends.cudnn.version()}"]
        parts.append(f"driver {asked('driver_version')}")
    return ", ".join(parts)


def as_setting(methods: list[dict[str, object]]) -> str:
    return "methods=" + yaml.safe_dump(methods, default_flow_style=True, width=10**6).strip()


REFERENCES: list[dict[str, object]] = [{"name": "original"}, {"name": "retrain"}]

RHO_GAMMA_SMALL = REFERENCES + [
    {"name": "uam", "epochs": 3, "lr": 0.01, "batch_size": 128, "gamma": [0, 1, 1.7]} | inner
    for inner in (
        {"ascent": "radius", "rho": [0.5, 1, 2, 4]},
        {"ascent": "rise", "rho": [0.1, 0.5, 1, 2]},
    )
]
"""24 trials of UAM on the small network, half of them with each inner step."""


def all_steps() -> list[Step]:
    """The most valuable first."""

    def resnet18(name: str, title: str, preset: str, seeds: list[int], limit: float = 300) -> Sweep:
        return Sweep(name, title, 150, limit, "resnet18", preset, (f"seeds={seeds}",), share=0.125, tail=90)

    data = ("--set", "dataset.name=parquet", "--set", "dataset.path={data}")
    return [
        # All seeds at once: the card is never without work while an original or the last trial of a seed is computed.
        resnet18("methods", "Which method comes closest to Retrain? Three seeds.", "methods-cifar10", [0, 1, 2], 580),
        Smoke("smoke", "Does Ray Tune give on the GPU what one process gives? Is a killed one survived?", 45, 120),
        Tests("tests", "Do the tests that need a GPU pass?", 20, 60),
        Script(
            "step",
            "What does a UAM step cost beside its two passes?",
            40,
            90,
            ("step.py", "--models", "resnet18", "--precisions", "bfloat16", "--seconds", "10"),
        ),
        Script(
            "peer",
            "How fast is UAM beside torchunlearn's?",
            45,
            120,
            ("peer.py", "--peer-python", "{python}", "--steps", "20"),
            needs="torchunlearn",
        ),
        Sweep(
            "language",
            "Which method makes a small language model forget people?",
            60,
            240,
            "language",
            "language",
            (),
            share=0.125,
            tail=20,
            images=False,
            needs="transformers",
        ),
        Sweep(
            "methods-small",
            "Which method comes closest to Retrain? 20,000 images, an 8-layer ResNet, three seeds.",
            70,
            150,
            "resnet8",
            "cifar10-small",
            ("seeds=[0, 1, 2]",),
            share=1 / 12,
            tail=25,
        ),
        Sweep(
            "rho-gamma-small",
            "Do rho and gamma interact, for either inner step? 20,000 images, an 8-layer ResNet, one seed.",
            70,
            240,
            "resnet8",
            "cifar10-small",
            (as_setting(RHO_GAMMA_SMALL),),
            share=1 / 12,
            tail=25,
        ),
        resnet18("rho-gamma", "Do UAM's rho and gamma interact? One seed.", "ablation-rho-gamma-cifar10", [0]),
        resnet18("ascent", "Which inner step, and how long? One seed.", "ablation-ascent-cifar10", [0]),
        resnet18("hessian", "Does UAM's Hessian term save epochs? One seed.", "ablation-hessian-cifar10", [0]),
        resnet18("class", "Which method forgets a whole class? One seed.", "class-forgetting-cifar10", [0]),
        resnet18("ratio", "How do methods hold up as more is forgotten? One seed.", "ablation-ratio-cifar10", [0]),
        Audit(
            "audit",
            "Can unlearned models be told from Retrain, sample by sample? Four originals.",
            200,
            520,
            "audit",
            "audit-cifar10",
            ("seeds=[0, 1, 2, 3]",),
            share=0.125,
            tail=150,
            predictions="true",
        ),
        Script("packing", "How many trials should share a GPU?", 150, 300, ("packing.py", "--shares", "2,8", *data)),
    ]


def main(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where gpu.md and results.tar are written.")],
    budget: Annotated[float, typer.Option(metavar="SECONDS", help="In all.")],
    work: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where results lie meanwhile; what lies there is gone on from, before --from."
        ),
    ] = None,
    earlier: Annotated[
        Path | None, typer.Option("--from", metavar="TAR", help="results.tar of an earlier visit, to go on from.")
    ] = None,
    names: Annotated[str, typer.Option("--steps", help="Comma-separated, in this order; all of them if empty.")] = "",
    epochs: Annotated[int, typer.Option(help="Of training with ResNet-18.")] = 30,
    data: Annotated[str, typer.Option(help="Folder with CIFAR-10 as Parquet files.")] = ".gpu/cifar10",
    tiny: Annotated[bool, typer.Option(help="Only see that it runs; needs neither GPU nor data.")] = False,
) -> None:
    began = time.monotonic()
    steps = {step.name: step for step in all_steps()}
    unknown = [name for name in names.split(",") if name and name not in steps]
    problem = (
        f"--steps {unknown[0]}: no such step; there are {', '.join(steps)}"
        if unknown
        else f"--from {earlier}: no such file"
        if earlier is not None and not earlier.is_file()
        else "no GPU; --tiny runs without one"
        if not tiny and not torch.cuda.is_available()
        else f"--data {data}: no such folder"
        if not tiny and not Path(data).is_dir()
        else ""
    )
    if problem:
        print(f"gpu.py: {problem}", file=sys.stderr)
        raise typer.Exit(2)
    signal.signal(signal.SIGTERM, end)
    out.mkdir(parents=True, exist_ok=True)
    kept = contextlib.nullcontext(work) if work is not None else tempfile.TemporaryDirectory(prefix="gpu-")
    with kept as folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        options = Options(tiny, epochs, data)
        visit = Visit(out, Path(folder), options, began + budget, described(), list(steps.values()))
        visit.go_on(earlier)
        visit.go([steps[name] for name in names.split(",") if name] or visit.steps)
    print((out / "gpu.md").read_text(), flush=True)


def end(number: int, frame: FrameType | None) -> None:
    """End what was started, too."""
    sys.exit(128 + number)


if __name__ == "__main__":
    typer.run(main)
