"""Pages that follow a sweep in a real browser: what is new appears, and the reader's place is kept. Needs Chromium."""

import contextlib
import io
import threading
import time
from datetime import UTC, datetime

import chromium
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from test_report_browser import OVERFLOW, made_row

from analysis.pages import followed
from analysis.pages.followed import Followed
from sweep.cli.serving import Server
from sweep.store.columns import PREDICTIONS
from sweep.store.read_only import ReadOnly
from sweep.store.results import Results
from sweep.store.running import running_path, write_running

pytestmark = pytest.mark.soak

PICTURES = [""]
"""What a trial's page is given of the data set."""

NUMBERS = {"retrain": [99.0, 80.0, 90.0, 40.0], "uam": [98.0, 82.0, 89.0, 35.0], "finetune": [97.0, 95.0, 91.0, 9.0]}
METHODS = "[...document.querySelectorAll('.comparison tbody th')].map((cell) => cell.dataset.value.trim())"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    assert chromium.find(), "install chromium: this test drives it"
    with chromium.browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def served(tmp_path, monkeypatch, page):
    """A directory with a trial of each method and a failure, and the URL of its pages, which look each second."""
    monkeypatch.setattr(followed, "SECONDS", 1)
    monkeypatch.setattr(followed, "REST", 0)
    results = Results(str(tmp_path))
    for method, numbers in NUMBERS.items():
        results.write_trial(made_row(method, 0, "a", 0.1, numbers))
    failed = {"status": "failed", "error": "Traceback\nValueError: no"}
    results.write_trial(made_row("uam", 5, "a", 0.1, [None] * 4) | failed)
    with Server(Followed(ReadOnly(str(tmp_path)), lambda config: PICTURES[0], lambda: "unknown.").page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with contextlib.ExitStack() as stack:
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            yield results, server.url
            page.open("about:blank")  # a page that follows would look for a server that has ended


def wait(page, script, seconds=30):
    deadline = time.monotonic() + seconds
    while not page.run(script):
        assert time.monotonic() < deadline, script
        time.sleep(0.1)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_wider_than_the_window(page, served, width, dark):
    results, url = served
    run(results, 3)
    for path in ("", "configurations/index.html", "trials/a-uam-0.html", "trials/a-uam-5.html", "trials/a-uam-7.html"):
        page.open(url + path, width=width, dark=dark)
        page.run("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
        assert page.run(OVERFLOW) <= 0
    assert page.messages == []


class Made:
    """Images of a data set whose classes have one name."""

    def __init__(self, name):
        self.classes = (name,) * 10

    def png(self, part, sample):
        content = io.BytesIO()
        Image.new("L", (8, 8)).save(content, "PNG")
        return content.getvalue()


@pytest.mark.parametrize("name", ["7", "aeroplane", "great white shark"])
def test_the_samples_that_differ_most_need_no_scrolling(page, served, monkeypatch, name):
    results, url = served
    monkeypatch.setattr(f"{__name__}.PICTURES", [Made(name)])
    for method in ("retrain", "original", "finetune"):
        logits = np.eye(10)[[3] * 40] * (5 if method == "retrain" else 1)
        said = {"trial_id": [f"a-{method}-0"] * 40, "sample_id": range(1000, 1040), "split": ["forget", "test"] * 20}
        said |= {"label": [7] * 40, "logits": logits.tolist()}
        table = pa.Table.from_pylist(pa.table(said).to_pylist(), schema=PREDICTIONS)
        results.write_trial(made_row(method, 0, "a", 0.1, NUMBERS["uam"]), [], table)
    page.open(url + "trials/a-finetune-0.html")
    tables = "[...document.querySelectorAll('.samples')]"
    assert page.run(f"{tables}.every((table) => table.scrollWidth <= table.parentElement.clientWidth)")
    first, second = page.run(f"{tables}.map((table) => table.getBoundingClientRect().top)")
    assert (first == second) == (name == "7")  # beside each other where there is room


def test_what_is_new_appears_and_the_readers_place_is_kept(page, served):
    results, url = served
    page.open(url, width=390)
    page.run("document.querySelectorAll('.comparison thead button')[5].click()")  # MIA
    assert page.run(METHODS) == ["FineTune", "UAM", "Retrain"]
    page.run("document.querySelector('#failures details').open = true")
    page.run("document.querySelector('.comparison').parentElement.scrollLeft = 77")
    page.run("document.querySelectorAll('.comparison tbody a')[1].focus()")
    page.run("scrollTo(0, 200)")
    results.write_trial(made_row("uam", 1, "a", 0.1, [1.0, 1.0, 1.0, 5.0]))
    failed = {"status": "failed", "error": "Traceback\nValueError: no"}
    results.write_trial(made_row("uam", 6, "a", 0.1, [None] * 4) | failed)
    wait(page, "document.querySelectorAll('#failures li').length === 2")
    assert page.run(METHODS) == ["FineTune", "UAM", "Retrain"]
    assert "6 trials are stored" in page.run("document.querySelector('#progress').textContent")
    assert page.run("document.querySelector('#failures details').open")
    assert page.run("document.querySelector('.comparison').parentElement.scrollLeft") == 77
    assert page.run("document.activeElement.textContent") == "UAM"
    assert page.run("scrollY") == 200
    assert page.messages == []


def test_following_can_be_stopped_from_the_keyboard(page, served):
    results, url = served
    page.open(url)
    page.run("document.querySelector('#following button').focus()")
    page.press(" ", " ")
    assert page.run("document.activeElement.textContent") == "Follow"
    results.write_trial(made_row("uam", 1, "a", 0.1, [1.0, 1.0, 1.0, 1.0]))
    time.sleep(2.5)
    assert "4 trials are stored" in page.run("document.querySelector('#progress').textContent")
    page.press("Enter", "\r")
    wait(page, "document.querySelector('#progress').textContent.includes('5 trials are stored')")


def run(results, epochs, seed=7):
    """Write of a trial that it came to so many epochs."""
    started = datetime(2030, 1, 1, tzinfo=UTC)
    row = made_row("uam", seed, "a", 0.1, [None] * 4) | {"started_at": started}
    points = [
        {
            "trial_id": row["trial_id"],
            "epoch": at,
            "step": at,
            "seconds": 0.1,
            "samples": 10,
            "retain_loss": 3 / (at + 1),
        }
        for at in range(epochs + 1)
    ]
    del row["status"]
    write_running(results, row, points, started)


def test_the_page_of_a_trial_that_runs_follows_it_and_becomes_the_page_of_its_row(page, served):
    results, url = served
    run(results, 1)
    page.open(url, width=390)
    page.run("document.querySelector('#progress a').click()")
    wait(page, "document.querySelector('#so-far')?.textContent.includes('come to epoch 1')")
    page.run("document.querySelector('#main').style.minHeight = '3000px'")
    page.run("scrollTo(0, 150)")
    run(results, 3)
    wait(page, "document.querySelector('#so-far').textContent.includes('come to epoch 3')")
    assert "to 0.75 at epoch 3" in page.run("document.querySelector('#so-far svg').getAttribute('aria-label')")
    assert page.run("scrollY") == 150
    finished = {"finished_at": datetime(2031, 1, 1, tzinfo=UTC)}
    results.write_trial(made_row("uam", 7, "a", 0.1, [98.0, 82.0, 89.0, 35.0]) | finished)
    results.remove(running_path("a-uam-7"))
    wait(page, "document.querySelector('#metrics') !== null && document.readyState === 'complete'")
    assert page.run("location.pathname") == "/trials/a-uam-7.html"
    assert page.run("[document.querySelector('#so-far'), document.querySelector('#following')]") == [None, None]
    assert page.messages == []


def test_a_trial_that_was_interrupted_ends_the_following_of_its_page(page, served):
    results, url = served
    run(results, 1)
    page.open(url + "trials/a-uam-7.html")
    results.remove(running_path("a-uam-7"))
    wait(page, "document.querySelector('#following').textContent.includes('no longer runs')")
    assert page.run("document.querySelector('#following button').textContent") == "Follow"
    run(results, 2)
    page.run("document.querySelector('#following button').click()")
    wait(page, "document.querySelector('#so-far').textContent.includes('come to epoch 2')")
    page.messages.clear()  # the browser tells of the page that was not there


def test_without_scripts_a_reload_shows_what_is_new(page, served):
    results, url = served
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open(url)
        assert page.run("document.querySelector('#following').hidden")
        assert "Load this page again" in page.run("document.querySelector('noscript').textContent")
        results.write_trial(made_row("uam", 1, "a", 0.1, [1.0, 1.0, 1.0, 1.0]))
        page.open(url)
    finally:
        page.call("Emulation.setScriptExecutionDisabled", value=False)
    assert "5 trials are stored" in page.run("document.querySelector('#progress').textContent")


def test_the_skip_link_is_first_and_focus_is_seen(page, served):
    _, url = served
    page.open(url + "trials/a-uam-0.html")
    page.press("Tab")
    assert page.run("document.activeElement.textContent") == "Skip to the content"
    page.press("Tab")
    assert page.run("document.activeElement.getAttribute('href')") == "../index.html"
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
