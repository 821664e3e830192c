"""Trials that run: the list on the first page, a page for each, and what takes its place once it has ended."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from made_sites import HOSTILE, compared, row, site_of, stored, trace
from page_document import Document
from test_followed import Counted
from test_site import link, table_of, text_of

from analysis.pages import followed
from analysis.pages.followed import Followed
from analysis.pages.running import MOST_RUNNING
from analysis.pages.samples import Samples
from sweep.store.read_only import ReadOnly
from sweep.store.results import Results
from sweep.store.running import RunningFiles, running_path, write_running

START = datetime(2030, 1, 1, 12, tzinfo=UTC)


def run(results, method="uam", seed=7, *, epochs=3, points=None, **columns):
    """Write of a trial how far it is, 90 seconds after its start; its id."""
    own = {"started_at": START, "device": "cpu", "threads": 1, "code_version": "1", "host": "node"}
    known = row(method, seed, **(own | columns))
    known = {name: value for name, value in known.items() if name not in ("status", "finished_at")}
    path = trace(known["trial_id"], epochs) if points is None else points
    write_running(results, known, path, START + timedelta(seconds=90))
    return known["trial_id"]


def pages_of(results, path="index.html"):
    return site_of(results, seconds=5).page(path, RunningFiles(results).trials())


@pytest.fixture
def results(tmp_path):
    return compared(tmp_path / "results")


def test_the_first_page_lists_what_runs_and_leads_to_its_page(results):
    assert 'id="running"' not in pages_of(results)
    run(results)
    page = pages_of(results)
    assert "Running UAM, seed 7: epoch 2 at 2030-01-01 12:01:30 UTC" in text_of(page)
    assert link(page, "UAM, seed 7") == "trials/task-uam--7.html"


def test_a_trial_that_runs_has_a_page_with_its_path_so_far(results):
    run(results)
    page = pages_of(results, "trials/task-uam--7.html")
    document, text = Document(page), text_of(page)
    assert "UAM, seed 7" in text
    assert "began at 2030-01-01 12:00:00 UTC, and had come to epoch 2 when it was last heard of, at 2030-01-01" in text
    words = [each["aria-label"] for each in document.all("svg") if "aria-label" in each]
    assert words[0] == "Loss of the method's batches: retain from 3 at epoch 0 to 1 at epoch 2."
    assert [line for line in table_of(page, "run") if line[0] in ("Device", "Trial")] == [
        ["Device", "cpu"],
        ["Trial", "task-uam--7"],
    ]
    assert [each["id"] for _, each in document.elements if "data-follow" in each] == ["so-far"]
    assert 'id="following" data-seconds="5"' in page
    configuration = link(page, "UAM").removeprefix("../")
    assert "UAM" in text_of(site_of(results).page(configuration))


def test_what_varies_is_told_also_from_trials_that_ended(results):
    run(results, params={"rho": 0.5})
    run(results, "finetune", params={"lr": 0.1})
    text = text_of(pages_of(results))
    assert "FineTune, seed 7" in text
    assert "UAM, rho=0.5, seed 7" in text
    assert 'href="../configurations' not in pages_of(results, "trials/task-finetune-0_1-7.html"), "nothing ended of it"


def test_a_row_that_is_newer_than_the_start_ends_it(results):
    run(results, seed=0, started_at=START)
    stored(results.location, [(row("uam", 0, finished_at=START - timedelta(hours=1)), None)])
    again = pages_of(results, "trials/task-uam--0.html")
    assert "This trial runs again" in text_of(again)
    assert table_of(again, "metrics")[1][0] == "RA", "and what it was is there still"
    assert 'id="following"' in again
    stored(results.location, [(row("uam", 0, finished_at=START + timedelta(hours=1)), None)])
    whole = pages_of(results, "trials/task-uam--0.html")
    assert "runs again" not in text_of(whole)
    assert 'id="following"' not in whole
    assert 'id="running"' not in pages_of(results)


def test_files_of_pages_show_nothing_that_runs(results):
    run(results)
    site = site_of(results)
    assert "trials/task-uam--7.html" not in site.paths
    assert site.page("trials/task-uam--7.html") is None


@pytest.mark.parametrize("empty", [False, True])
def test_what_is_said_of_a_trial_cannot_become_part_of_a_page(tmp_path, empty):
    results = stored(tmp_path, [] if empty else [(row("retrain"), None)])
    names = ("sweep", "dataset", "model", "method", "device", "host", "study", "code_version")
    hostile = dict.fromkeys(names, HOSTILE) | {"params": {HOSTILE: HOSTILE}, "trial_id": "t", "seed": 3}
    run(results, points=[trace("t", 1)[0] | {"other": json.dumps({HOSTILE: 1.0})}], **hostile)
    for path in ("index.html", "trials/t.html"):
        page = pages_of(results, path)
        Document(page)
        assert page.count("<script>") == 1
        assert "<img" not in page
        assert "49" not in text_of(page)


def test_pages_are_well_formed_and_links_lead_to_pages(results):
    run(results)
    run(results, seed=0, started_at=START)
    run(results, "finetune", points=[])
    site = site_of(results, seconds=5)
    of_runs = ["trials/task-uam--7.html", "trials/task-finetune--7.html"]
    for path in ["index.html", "trials/task-uam--0.html", *of_runs]:
        document = Document(site.page(path, RunningFiles(results).trials()))
        ids = [each["id"] for _, each in document.elements if "id" in each]
        assert len(ids) == len(set(ids))
        for href in document.links:
            target = href.removeprefix("../") if "/" in path else href
            assert target.removeprefix("#") in ids or target in ("index.html", *site.paths, *of_runs), (path, href)


def test_of_many_trials_the_first_are_listed(tmp_path):
    results = stored(tmp_path, [])
    for seed in range(MOST_RUNNING + 2):
        run(results, seed=seed)
    page = pages_of(results)
    assert page.count('<a href="trials/') == MOST_RUNNING
    assert f"These are {MOST_RUNNING} of {MOST_RUNNING + 2} that run." in text_of(page)


def test_pages_follow_what_runs_and_rows_are_not_read_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr(followed, "REST", 0)
    results = Counted(compared(tmp_path).location)
    page = Followed(results, lambda config: Samples(), lambda: "not known.").page
    path = "trials/task-uam--7.html"
    assert page(path) is None
    written = Results(results.location)
    for epochs in (1, 2, 3):
        run(written, epochs=epochs)
        assert f"had come to epoch {epochs - 1} when" in text_of(page(path))
        assert f"UAM, seed 7: epoch {epochs - 1} at" in text_of(page("index.html"))
    assert results.reads == 1
    stored(results.location, [(row("uam", 7, finished_at=START + timedelta(hours=1)), None)])
    assert "Path so far" not in page(path)
    assert "7 trials are stored" in page("index.html")
    written.remove(running_path("task-uam--7"))
    assert "Metrics" in page(path)
    assert results.reads == 2


def test_the_first_page_is_made_anew_only_where_something_changed(results, monkeypatch):
    run(results)
    site, files = site_of(results), RunningFiles(results)
    first = site.page("index.html", files.trials())
    monkeypatch.setattr(site, "_render", lambda *_: pytest.fail("made anew"))
    assert site.page("index.html", files.trials()) is first


class EndsMeanwhile(ReadOnly):
    """A directory in which the trial that runs ends just when somebody has looked what runs."""

    def files(self, folder, ending=".parquet"):
        found = super().files(folder, ending)
        written = Results(self.location)
        if folder == "running" and found:
            written.write_trial(row("uam", 7, finished_at=START + timedelta(hours=1)))
            written.remove(running_path("task-uam--7"))
        return found


def test_a_trial_that_ends_while_pages_are_made_has_a_page(tmp_path):
    results = compared(tmp_path)
    run(results)
    page = Followed(EndsMeanwhile(results.location), lambda config: Samples(), lambda: "not known.").page
    assert ">Metrics</h2>" in page("trials/task-uam--7.html")
