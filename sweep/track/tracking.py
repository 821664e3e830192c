"""Sends trials to experiment trackers: those that ended, each once, and those that run, as far as they are.

A file in `DIR/tracked/<tracker>` marks each trial that ended, written after the trial was sent. So trials that a killed
run did not send are sent by the next run, or by the command `track`; both also send trials that ended before anybody
asked. Results stay the only state.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from sweep.errors import first_line
from sweep.store.results import Results
from sweep.store.running import RunningFiles
from sweep.store.status import ENDED, Row
from sweep.track.runs import Ending, Point, TrialRun, curves, ending, trial_run
from sweep.track.trackers import Tracker, open_tracker

PATIENCE = 30.0
"""Seconds that the end of a run waits for a tracker that takes no trial."""

SECONDS = 5.0
"""How often a tracker gets what is new of trials that run."""


class Sender:
    """Sends trials of a results directory to one tracker. Methods raise OSError, and whatever the tracker raises.

    Attributes:
        before: how many trials were sent before.
        count: how many this object has sent.
    """

    def __init__(self, results: Results, name: str, tracker: Tracker) -> None:
        self._results = results
        self._marks = f"tracked/{name}"
        self._tracker = tracker
        self._sent = set(results.names(self._marks))
        self._running = RunningFiles(results)
        self._begun: dict[str, Sent | None] = {}
        self.before = len(self._sent)
        self.count = 0
        self._left = {trial_run(running.row).key for running in self._running.trials()}  # by workers that were killed

    def send_all(self) -> None:
        """Send every stored trial that was not sent before."""
        trials = self._results.trials().table
        left = [row for row in trials.to_pylist() if self._wanted(row)]
        for row, traces in _with_traces(left, trials, self._results):
            self._send(row, traces, None)

    def began(self, trial_id: str) -> None:
        """From now on send what is new of a trial, until `send`."""
        self._begun.setdefault(trial_id, None)

    def send_new(self) -> None:
        """Send what is new of the trials that began."""
        for running in self._running.trials(self._begun) if self._begun else ():
            points, run = list(curves(running.traces)), trial_run(running.row)
            if points and run.key not in self._left:
                sent = self._begun[running.id] = self._opened(run, self._begun[running.id])
                sent.add(points)

    def send(self, trial_id: str) -> None:
        """Send one trial that ended, unless it was sent before or its row cannot be read."""
        sent = self._begun.pop(trial_id, None)
        row = self._results.trial(trial_id)
        if row is not None and self._wanted(row):
            self._send(row, self._results.trace(trial_id), sent)

    def _wanted(self, row: Row) -> bool:
        return row["status"] in ENDED and mark_of(row) not in self._sent

    def _send(self, row: Row, traces: Sequence[Row], sent: Sent | None) -> None:
        mark = mark_of(row)
        self._opened(trial_run(row), sent).end(list(curves(traces)), ending(row))
        self._results.write(f"{self._marks}/{mark}", b"")
        self._sent.add(mark)
        self.count += 1

    def _opened(self, run: TrialRun, sent: Sent | None) -> Sent:
        """The run that the trial has already, if it has not started again since; else a new one."""
        return sent if sent is not None and sent.key == run.key else Sent(run, self._tracker)


class Sent:
    """A tracker's run of a trial, and which points of it were sent: none is sent twice, though it is tried again.

    Attributes:
        key: the run's.
    """

    def __init__(self, run: TrialRun, tracker: Tracker) -> None:
        self.key = run.key
        self._run = tracker(run)
        self._points: set[tuple[int, str]] = set()

    def add(self, points: Sequence[Point]) -> None:
        """Send those that are new."""
        if new := self._new(points):
            self._run.add(new)

    def end(self, points: Sequence[Point], ending: Ending) -> None:
        """Send those that are new, and how the trial ended."""
        self._run.end(self._new(points), ending)

    def _new(self, points: Sequence[Point]) -> list[Point]:
        new = [point for point in points if (point.place, point.name) not in self._points]
        self._points |= {(point.place, point.name) for point in new}
        return new


def mark_of(row: Row) -> str:
    """What marks that a row of `trials` was sent: the trial's id and when it ended."""
    return f"{row['trial_id']}-{row['finished_at']:%Y%m%dT%H%M%S}"


def _with_traces(rows: Sequence[Row], trials: pa.Table, results: Results) -> Iterator[tuple[Row, list[Row]]]:
    """Each row of `trials` with its rows of `traces`, which are read all at once."""
    if not rows:
        return
    table = results.traces(trials).table.sort_by([("trial_id", "ascending"), ("epoch", "ascending")])
    places, start = {}, 0
    for found in pc.value_counts(table["trial_id"]).to_pylist():
        places[found["values"]] = (start, found["counts"])
        start += found["counts"]
    for row in rows:
        yield row, table.slice(*places.get(row["trial_id"], (0, 0))).to_pylist()


class Tracking:
    """Sends trials to trackers as they run and end. Each tracker has a thread: one that fails or hangs delays nothing.

    A context manager: its end waits until all trials are sent.
    """

    def __init__(self, names: Sequence[str], out: str, warn: Callable[[str], None]) -> None:
        """Open the trackers.

        Raises:
            InputError: as `open_tracker` raises it.
        """
        results = Results(out)
        opened = {name: open_tracker(name, results, "--track") for name in dict.fromkeys(names)}
        self._threads = [Sending(name, tracker, out, warn) for name, tracker in opened.items()]

    def __enter__(self) -> Tracking:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        for thread in self._threads:
            thread.finish(wait=kind is None)

    def began(self, trial_id: str) -> None:
        """Send what there is of a trial that began, until it ends."""
        self._tell(Sender.began, trial_id)

    def ended(self, trial_id: str) -> None:
        """Send a trial that ended, whose row is stored."""
        self._tell(Sender.send, trial_id)

    def _tell(self, action: Callable[[Sender, str], None], trial_id: str) -> None:
        for thread in self._threads:
            thread.news.put((action, trial_id))


class Sending(threading.Thread):
    """Sends to one tracker the trials that are stored already, then those that run and end.

    Attributes:
        news: what the thread's sender is to do, of which trial; None: nothing more.
    """

    def __init__(self, name: str, tracker: Tracker, out: str, warn: Callable[[str], None]) -> None:
        super().__init__(name=f"track {name}", daemon=True)
        self.news: queue.SimpleQueue[tuple[Callable[[Sender, str], None], str] | None] = queue.SimpleQueue()
        self._to = name
        self._tracker = tracker
        self._out = out
        self._warn = warn
        self._sender: Sender | None = None

    def run(self) -> None:
        """Thread's hook: send trials until `finish` is called."""
        try:
            self._sender = Sender(Results(self._out), self._to, self._tracker)
            self._sender.send_all()
            self._follow(self._sender)
        except Exception as error:
            self._give_up(f"failed, and nothing more is sent to it: {first_line(error)}")

    def _follow(self, sender: Sender) -> None:
        """Do what is told, and every `SECONDS` send what is new, until nothing more comes."""
        due = time.monotonic() + SECONDS
        while True:
            if time.monotonic() >= due:  # also where news never end, because the tracker is slower than trials
                sender.send_new()
                due = time.monotonic() + SECONDS
            try:
                news = self.news.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                continue
            if news is None:
                return
            action, trial_id = news
            action(sender, trial_id)

    def finish(self, wait: bool) -> None:
        """Let the thread end; with `wait`, wait for that as long as it still sends trials."""
        self.news.put(None)
        before = None
        while wait and self.is_alive() and before != self._count():
            before = self._count()
            self.join(PATIENCE)
        if wait and self.is_alive():
            self._give_up(f"has taken nothing for {PATIENCE:g} s")

    def _count(self) -> int:
        return self._sender.count if self._sender else 0

    def _give_up(self, why: str) -> None:
        rest = f"results are complete, and `unlearn-sweep track {self._out} --to {self._to}` sends the rest"
        self._warn(f"--track {self._to}: {why}; {rest}")
