"""Sends stored trials to experiment trackers, each trial once. Results stay the only state.

A file in `DIR/tracked/<tracker>` marks each trial, written after the trial was sent. So trials that a killed run did
not send are sent by the next run, or by the command `track`; both also send trials that ended before anybody asked.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from sweep.store.results import Results
from sweep.store.status import ENDED, Row
from sweep.track.trackers import Tracker, key_of, open_tracker, trial_run

PATIENCE = 30.0
"""Seconds that the end of a run waits for a tracker that takes no trial."""


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
        self.before = len(self._sent)
        self.count = 0

    def send_all(self) -> None:
        """Send every stored trial that was not sent before."""
        trials = self._results.trials().table
        left = [row for row in trials.to_pylist() if self._wanted(row)]
        for row, traces in _with_traces(left, trials, self._results):
            self._send(row, traces)

    def send(self, trial_id: str) -> None:
        """Send one trial, unless it was sent before or its row cannot be read."""
        row = self._results.trial(trial_id)
        if row is not None and self._wanted(row):
            self._send(row, self._results.trace(trial_id))

    def _wanted(self, row: Row) -> bool:
        return row["status"] in ENDED and key_of(row) not in self._sent

    def _send(self, row: Row, traces: Sequence[Row]) -> None:
        key = key_of(row)
        self._tracker(trial_run(row, traces))
        self._results.write(f"{self._marks}/{key}", b"")
        self._sent.add(key)
        self.count += 1


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
    """Sends trials to trackers as they end. Each tracker has a thread, so that one that fails or hangs delays nothing.

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

    def ended(self, trial_id: str) -> None:
        """Send a trial that ended, whose row is stored."""
        for thread in self._threads:
            thread.trials.put(trial_id)


class Sending(threading.Thread):
    """Sends to one tracker the trials that are stored already, then those that end."""

    def __init__(self, name: str, tracker: Tracker, out: str, warn: Callable[[str], None]) -> None:
        super().__init__(name=f"track {name}", daemon=True)
        self.trials: queue.SimpleQueue[str | None] = queue.SimpleQueue()
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
            while trial_id := self.trials.get():
                self._sender.send(trial_id)
        except Exception as error:
            self._give_up(f"failed, and nothing more is sent to it: {first_line(error)}")

    def finish(self, wait: bool) -> None:
        """Let the thread end; with `wait`, wait for that as long as it still sends trials."""
        self.trials.put(None)
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


def first_line(error: Exception) -> str:
    """The first line of an error's message, or its type."""
    return (str(error) or type(error).__name__).splitlines()[0]
