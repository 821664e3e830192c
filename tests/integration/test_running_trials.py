"""A trial that runs in another process: its file, its page in `view`, and its curves in TensorBoard; then its row."""

import signal
import threading
import time

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_view_command import pages
from tiny_sweeps import ended_on_error, start, tracked, write_spec

from analysis.pages import followed
from analysis.pages.followed import Followed
from analysis.pages.samples import Samples
from sweep.cli.serving import Server
from sweep.store.read_only import ReadOnly
from sweep.store.results import Results
from sweep.store.running import RunningFiles

pytestmark = pytest.mark.parametrize("executor", ["inline", pytest.param("ray", marks=pytest.mark.soak)])


@pytest.fixture
def sweep(tmp_path, executor):
    """A sweep of one trial, which ends once `go` is there: its process, its results and `go`."""
    go = tmp_path / "go"
    methods = [{"name": "sweep_plugins:Lasts", "until": str(go)}]
    spec = write_spec(tmp_path, methods, training={"epochs": 1}, probe={"every": 0})
    process = start("run", spec, "--out", tmp_path / "out", "--executor", executor, "--track", "tensorboard")
    with ended_on_error(process):
        yield process, Results(str(tmp_path / "out")), go
        go.touch()
        process.communicate(timeout=120)


def eventually(find, process):
    """What `find` returns, once that is true."""
    deadline = time.monotonic() + 180
    while not (found := find()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def test_a_trial_is_followed_from_its_first_points_to_its_row(sweep, tmp_path, monkeypatch):
    monkeypatch.setattr(followed, "REST", 0)
    process, results, go = sweep
    [first] = eventually(RunningFiles(results).trials, process)
    again = eventually(lambda: [each for each in RunningFiles(results).trials() if each.told > first.told], process)
    assert len(again[0].traces) > len(first.traces) > 0
    with Server(Followed(ReadOnly(results.location), lambda config: Samples(), lambda: "not known.").page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            assert f'<a href="trials/{first.id}.html">' in pages(server.url)
            page = pages(server.url, f"trials/{first.id}.html")
            assert "Path so far" in page
            assert "Loss of the method&#39;s batches: retain from 1 at epoch 1 to" in page
            eventually(lambda: list(tmp_path.glob("out/tensorboard/*/*/*/*")), process)
            assert results.trial(first.id) is None
            go.touch()
            process.communicate(timeout=120)
            assert process.returncode == 0
            page = pages(server.url, f"trials/{first.id}.html")
        finally:
            server.shutdown()
            thread.join()
    assert "Path so far" not in page
    assert ">Metrics</h2>" in page
    assert results.names("running") == []
    assert tracked(tmp_path / "out") == [first.id]
    [folder] = tmp_path.glob("out/tensorboard/*/*/*")
    assert len(list(folder.iterdir())) > 1
    sent = EventAccumulator(str(folder)).Reload().Scalars("trace/retain_loss")
    path = {point["epoch"]: point["retain_loss"] for point in results.trace(first.id)[1:]}
    assert len(sent) == len(path)
    assert {each.step: each.value for each in sent} == pytest.approx(path)


@pytest.mark.soak
def test_an_interrupted_sweep_leaves_nothing_that_seems_to_run(sweep):
    process, results, _ = sweep
    eventually(RunningFiles(results).trials, process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 130
    assert results.names("running") == []
