"""The report's page in a real browser: headless Chromium, driven through its debugging pipe."""

import json

import chromium
import pytest
from tiny_sweeps import call

from sweep.store.results import Results

pytestmark = pytest.mark.skipif(chromium.find() is None, reason="no Chromium or Chrome on the path")

DESKTOP, PHONE = 1280, 390
SHOWN_METHODS = "[...document.querySelectorAll('.comparison tbody th')].map((cell) => cell.dataset.value.trim())"
SORTED_BY = "[...document.querySelectorAll('.comparison thead th')].map((cell) => cell.ariaSort)"
OVERFLOW = "document.scrollingElement.scrollWidth - innerWidth"
FOCUSED = "document.activeElement.textContent"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The page of made-up results: two methods on two tasks, a failure, and a list of many trials."""
    folder = tmp_path_factory.mktemp("report")
    results = Results(str(folder / "results"))
    values = {
        "retrain": (99.0, 80.0, 90.0, 40.0),
        "uam": (98.0, 82.0, 89.0, 35.0),
        "finetune": (100.0, 95.0, 91.0, 9.0),
    }
    for task, ratio in (("a", 0.1), ("b", 0.5)):
        for method, numbers in values.items():
            for seed in range(3):
                results.write_trial(made_row(method, seed, task, ratio, [number + seed / 10 for number in numbers]))
    results.write_trial(made_row("uam", 3, "a", 0.1, [None] * 4) | {"status": "failed", "error": "x" * 300})
    ended = call("report", folder / "results", "--out", folder / "page")
    assert (ended.code, ended.err) == (0, "")
    return folder / "page" / "index.html"


def made_row(method, seed, task, ratio, metrics):
    names = ("retain_accuracy", "forget_accuracy", "test_accuracy", "mia")
    config = {"dataset": {"name": "digits"}, "seed": seed, "method": {"name": method, "params": {}, "version": 1}}
    return {
        "trial_id": f"{task}-{method}-{seed}",
        "task_id": task,
        "sweep": "made",
        "status": "ok",
        "dataset": "digits",
        "model": "small-cnn",
        "seed": seed,
        "scenario": "random",
        "forget_ratio": ratio,
        "method": method,
        "params": "{}",
        "config": json.dumps(config),
        "unlearn_seconds": 2.0,
        "code_version": "1",
        **dict(zip(names, metrics, strict=True)),
    }


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page that has not been opened yet; what its console gets is checked when the tests are done."""
    with chromium.browser(tmp_path_factory.mktemp("profile")) as page:
        yield page
        assert page.messages == []


def test_every_figure_is_there_and_loaded(page, report):
    page.open(report.as_uri())
    drawn = {path.stem for path in report.parent.glob("*.png")}
    assert drawn
    assert set(page.run("[...document.querySelectorAll('.figure')].map((figure) => figure.id.slice(7))")) == drawn
    widths = page.run("[...document.images].map((image) => image.naturalWidth)")
    assert len(widths) == len(drawn)
    assert min(widths) > 0
    assert page.messages == []


@pytest.mark.parametrize("width", [DESKTOP, PHONE, 360])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_wider_than_the_window(page, report, width, dark):
    page.open(report.as_uri(), width=width, dark=dark)
    assert page.run("innerWidth") == width
    page.run("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    assert page.run(OVERFLOW) <= 0


def test_the_table_sorts_on_click(page, report):
    page.open(report.as_uri())
    assert page.run(SHOWN_METHODS)[:4] == ["Retrain", "Retrain, another seed", "UAM", "FineTune"]
    click = "document.querySelectorAll('.comparison thead button')[3].click()"  # FA
    page.run(click)
    assert page.run(SHOWN_METHODS)[:4] == ["Retrain", "Retrain, another seed", "UAM", "FineTune"]
    assert page.run(SORTED_BY)[:9] == [None] * 3 + ["ascending"] + [None] * 5
    page.run(click)
    assert page.run(SHOWN_METHODS)[:4] == ["FineTune", "UAM", "Retrain", "Retrain, another seed"]
    assert page.run(SORTED_BY)[:9] == [None] * 3 + ["descending"] + [None] * 5
    assert page.run(SHOWN_METHODS)[4:] == ["Retrain", "Retrain, another seed", "UAM", "FineTune"], (
        "the other task's table stays"
    )


def test_numbers_sort_as_numbers_and_what_is_missing_is_last(page, report):
    page.open(report.as_uri())
    page.run("document.querySelectorAll('.comparison thead button')[5].click()")  # MIA: 9.1 before 35.1
    assert page.run(SHOWN_METHODS)[:4] == ["FineTune", "UAM", "Retrain", "Retrain, another seed"]
    page.run("document.querySelector('.comparison tbody tr td:nth-child(6)').dataset.value = ''")
    page.run("document.querySelectorAll('.comparison thead button')[5].click()")
    assert page.run(SHOWN_METHODS)[:4] == ["Retrain", "Retrain, another seed", "UAM", "FineTune"]


def test_the_table_sorts_from_the_keyboard(page, report):
    page.open(report.as_uri())
    page.press("Tab")
    assert page.run(FOCUSED) == "Skip to the content"
    page.press("Enter", "\r")
    for _ in range(12):
        page.press("Tab")
        if page.run(FOCUSED) == "TA":
            break
    assert page.run(FOCUSED) == "TA"
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press(" ", " ")
    assert page.run(SHOWN_METHODS)[:4] == ["UAM", "Retrain", "Retrain, another seed", "FineTune"]
    page.press("Enter", "\r")
    assert page.run(SHOWN_METHODS)[:4] == ["FineTune", "Retrain", "Retrain, another seed", "UAM"]
    assert page.run(FOCUSED) == "TA"


def test_trials_are_found_by_their_words(page, report):
    page.open(report.as_uri())
    page.run("document.querySelector('.search input').focus()")
    page.call("Input.insertText", text="UAM seed b-")
    shown = "[...document.querySelectorAll('.trials li')].filter((item) => !item.hidden).length"
    assert page.run(shown) == 3
    assert page.run("document.querySelector('.search [role=status]').textContent") == "3 of 19"


def test_the_page_is_complete_without_scripts(page, report):
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open(report.as_uri())
    finally:
        page.call("Emulation.setScriptExecutionDisabled", value=False)
    assert page.run("document.querySelectorAll('.comparison tbody tr').length") == 8
    assert page.run("document.querySelectorAll('button, .search:not([hidden])').length") == 0


def test_colours_follow_the_readers_setting(page, report):
    background = "getComputedStyle(document.body).backgroundColor"
    page.open(report.as_uri())
    light = page.run(background)
    page.open(report.as_uri(), dark=True)
    assert page.run(background) != light
