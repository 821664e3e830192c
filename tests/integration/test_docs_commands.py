"""Every command of README.md and docs/: run where a small form of it takes seconds, else held against what reads it.

RULES says which is done with which command; a command that no rule covers fails.
"""

import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from unittest import mock

import documentation
import pytest
import typer
from documentation import ROOT, Command
from ray.scripts.scripts import cli as ray_commands
from tiny_sweeps import call, rows

from sweep.cli.app import app
from sweep.spec.sweep_spec import load_spec

SMALL = ("training.epochs=1", "seeds=[0]", "dataset.limit=200", "model.width=4", "forget.ratio=0.1")
SEARCHED = ("search.trials=2", "search.seeds=[0]", "search.confirm_seeds=[1]")
SMALL_FORMS = {
    "my-sweep.yaml": SMALL,
    "first.yaml": SMALL,  # which `new` writes
    "my-search.yaml": (*(each for each in SMALL if not each.startswith("seeds")), *SEARCHED),
    "best.yaml": (),  # which a small search writes
    "digits": SMALL[:4],
    "ablation-rho-gamma": (*SMALL[:4], "methods.uam.rho=[2,8]", "methods.uam.gamma=[0,1.7]", "methods.uam.epochs=1"),
}
"""Specs that are run, and what makes them so small that it takes a second or two."""
DIRECTORIES = {"results/mine": "my-sweep.yaml", "results/digits": "digits", "results/ablations": "ablation-rho-gamma"}
"""Results that commands of several pages read, and the spec that fills them; others come from their own page."""
COPIES = ("results/laptop", "results/server", "results/theirs")
"""Results of other machines: copies of results/mine."""
PLACEHOLDERS = ("DIR", "ROOT", "path/to", "download=true", "://", "/shared/", "--address")
"""What a command with one of them asks for is not at hand: it is held against the options and the spec only."""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a reader stands who wrote the files that the pages show, and ran the first sweeps."""
    here, before = tmp_path_factory.mktemp("reader"), os.getcwd()
    for name, text in documentation.files_shown().items():
        (here / name).write_text(text, "utf-8")
    os.chdir(here)
    tracking = {"MLFLOW_TRACKING_URI": f"sqlite:///{here / 'mlflow.db'}"}
    with mock.patch.object(sys, "path", [*sys.path, str(here)]), mock.patch.dict(os.environ, tracking):
        for directory, spec in DIRECTORIES.items():
            run_small("run", spec, "--out", directory)
        for directory in COPIES:
            shutil.copytree("results/mine", directory)
        yield here
    os.chdir(before)
    for name, module in list(sys.modules.items()):  # other tests have plugins of these names too
        if str(getattr(module, "__file__", "")).startswith(str(here)):
            del sys.modules[name]


@pytest.mark.parametrize("page", sorted({command.page for command in documentation.commands()}))
def test_commands_of_a_page_work_in_order(folder, page):
    follow_page(page)


def test_no_shell_takes_a_list_for_a_pattern():
    """zsh refuses a word with brackets that matches no file."""
    lines = [line for page in documentation.PAGES for line in documentation.shell_lines(page)]
    assert [line for line in lines if re.search(r"=[\[{]", documentation.bare(line))] == []


@pytest.mark.parametrize(
    ("page", "directory", "methods"),
    [
        ("docs/plugins.md", "uniform", ["my_methods:Uniform", "my_methods:Uniform", "original", "retrain"]),
        ("docs/methods.md", "up-down", ["original", "retrain", "up_down:UpDown", "up_down:UpDown"]),
    ],
)
def test_trials_of_a_pages_method_end_well(folder, page, directory, methods):
    follow_page(page)
    found = rows(folder / "results" / directory)
    assert sorted(row["method"] for row in found) == methods
    assert {(row["status"], row["forget_accuracy"] is None) for row in found} == {("ok", False)}


def test_trials_of_the_pages_data_set_and_model_end_well(folder):
    follow_page("docs/plugins.md")
    found = rows(folder / "results/stripes")
    assert {(row["dataset"], row["model"]) for row in found} == {("my_data:Stripes", "my_data:perceptron")}
    assert {row["status"] for row in found} == {"ok"}


@pytest.mark.parametrize(
    "line",
    [
        "unlearn-sweep run my-sweep.yaml --outt results/mine",
        "unlearn-sweep run methods-cifar10 --set dataset.downlaod=true",
        "unlearn-sweep run my-sweep.yaml --adress auto --out /shared/mine",
        "unlearn-sweep sttatus results/mine",
        "unlearn-sweep status results/never-made",
        "unlearn-sweep report results/never-made",
        "unlearn-sweep list methods uma",
        "make demoo",
        "pip install unlearn-sweep[mlflov]",
        "ray start --haed",
        "python -m analysis.rho_gama results/ablations",
        "cowsay hello",
    ],
)
def test_a_slip_in_a_command_is_found(folder, line):
    [words] = documentation.simple_commands(line)
    with pytest.raises(BaseException):  # noqa: B017 whatever the reader of that command raises
        follow(Command(words, "docs/made.md"))


def follow_page(page: str) -> None:
    for command in documentation.commands():
        if command.page == page and kept_once(command) not in followed:
            follow(command)
            followed.add(kept_once(command))


followed: set[str] = set()
"""Commands that have worked: another page that shows one of them needs it no second time."""


def kept_once(command: Command) -> str:
    """A command's words; of a report, which takes seconds to draw, only that it is one, once its options are parsed."""
    if command.words[:2] != ("unlearn-sweep", "report"):
        return str(command)
    parse(typer.main.get_command(app), command.words[1:])
    assert any(map(os.path.isdir, command.words)), f"{command.page}: {command}: no such results"
    return "report"


def follow(command: Command) -> None:
    """Do what the first rule that fits a command says."""
    for pattern, rule in RULES:
        if re.match(pattern, " ".join(command.words)):
            rule(*command.words)
            return
    pytest.fail(f"{command.page}: no rule of {__name__} covers: {command}")


def our_command(_, *words: str) -> None:
    """Held against the options; then run, unless it has a placeholder or waits for somebody."""
    parse(typer.main.get_command(app), words)
    name, *arguments = words
    if name in ("run", "search", "plan"):
        overrides = [arguments[at + 1] for at, word in enumerate(arguments) if word == "--set"]
        load_spec(arguments[0], overrides)
    if name in WAIT or words == ASKS or any(part in " ".join(words) for part in PLACEHOLDERS):
        return
    if name not in ("run", "search"):
        trial = sorted(os.listdir("results/mine/trials"))[0].removesuffix(".parquet")
        succeed(*(trial if word == "TRIAL_ID" else word for word in words))
    elif arguments[0] in SMALL_FORMS:
        run_small(*words)


WAIT = ("view",)
"""Commands that go on until they are interrupted."""
ASKS = ("new",)
"""A command that asks questions."""


def run_small(name: str, spec: str, *arguments: str) -> None:
    given = [*SMALL_FORMS[spec]]
    if any("methods=" in word for word in arguments):  # the small form of other methods
        given = [each for each in given if not each.startswith("methods.")]
    if any(word.startswith(("dataset=", "model=")) for word in arguments):
        given = [each for each in given if not each.startswith(("dataset.", "model."))]
    small = [word for override in given for word in ("--set", override)]
    succeed(name, spec, *arguments, *small, "--executor", "inline")


def succeed(*words: str) -> None:
    ended = call(*words)
    assert (ended.code, ended.err) == (0, ""), f"unlearn-sweep {' '.join(words)}\n{ended.out}{ended.err}"


def parse(command, words) -> None:
    """Raise what a command raises for options and arguments that it does not have, and run nothing."""
    name, *rest = words
    command = command.commands[name]
    if hasattr(command, "commands"):
        parse(command, rest)
    else:
        command.make_context(name, list(rest)).close()


def module(_, __, name: str, *arguments: str) -> None:
    status = None
    with mock.patch.object(sys, "argv", [name, *arguments]):
        try:
            runpy.run_module(name, run_name="__main__")
        except SystemExit as ended:
            status = ended.code
    assert not status, f"python -m {name} {' '.join(arguments)}"


def python(_, __, code: str) -> None:
    exec(code, {})


def pytest_path(*words: str) -> None:
    assert (ROOT / words[-1]).exists()


def target(*words: str) -> None:
    subprocess.run([*words, "--dry-run"], cwd=ROOT, check=True, capture_output=True)


def install(*words: str) -> None:
    extras = re.findall(r"\[(.*?)\]", " ".join(words))
    known = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert {each for group in extras for each in group.split(",")} <= set(known)


def ray(_, *words: str) -> None:
    """Ray's own options; what follows `--` is a command of its own."""
    own, _, ours = " ".join(words).partition(" -- ")
    parse(ray_commands, [*own.split(), *(["--", "true"] if ours else [])])
    if ours:
        follow(Command(tuple(ours.split()), "after --"))


def through(_, *words: str) -> None:
    """A command that starts the one after it."""
    follow(Command(words, "after srun"))


def there(*words: str) -> None:
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    assert shutil.which(words[0], path=beside), words


def known(*words: str) -> None:
    """Nothing to hold it against here; the rule's pattern says all that it may be."""


RULES = (
    (r"unlearn-sweep ", our_command),
    (r"python -m (analysis|methods)\.", module),
    (r"python -c ", python),
    (r"python -m pytest tests/\S+$", pytest_path),
    (r"make [a-z]+$", target),
    (r"(uv )?pip install ", install),
    (r"ray (start|up|job|symmetric-run|get-auth-token|stop)", ray),
    (r"srun (ray|unlearn-sweep) ", through),
    (r"(tensorboard --logdir|optuna-dashboard) \S+$", there),
    (r"(ruff check|ruff format --check) \.$|mypy$", there),
    (r"\. \.venv/bin/activate$", known),
    (r"export RAY_AUTH_MODE=token$|head=VALUE:6379$", known),
    (r"ssh -N -L 8265:127\.0\.0\.1:8265 HEAD$", known),
)
"""A pattern of whole commands, and what is done with them."""
