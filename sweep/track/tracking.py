"""Sending stored trials to experiment trackers, each trial once. Results stay the only state.

What was sent is marked in `DIR/tracked/<tracker>`, after it was. So whatever a run that was killed did not send, the
next one sends, or the command `track`, which also sends what was there before anybody asked for it.
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
"""Seconds that the end of a run waits for a tracker in which nothing arrives."""


class Sender:
    """Sends trials of a results directory to one tracker. Every method raises what the tracker does, and OSError."""

    def __init__(self, results: Results, name: str, tracker: Tracker) -> None:
        self._results = results
        self._marks = f"tracked/{name}"
        self._tracker = tracker
        self._sent = set(results.names(self._marks))
        self.before = len(self._sent)
        self.count = 0

    def send_all(self) -> None:
        """Send every trial that the directory holds, but for those that were sent before."""
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
    """Each row with those of its trial's traces, which are all read at once."""
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
    """Sends trials to trackers as they end, to each in a thread of its own: one that fails or hangs holds nothing up.

    A context manager, whose end waits for what is still to be sent.
    """

    def __init__(self, names: Sequence[str], out: str, warn: Callable[[str], None]) -> None:
        """Open the trackers.

        Raises:
            InputError: a tracker's library is missing, or it has no account to write to.
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
        """A trial's row is stored."""
        for thread in self._threads:
            thread.trials.put(trial_id)


class Sending(threading.Thread):
    """Sends to one tracker what the directory holds already, then what ends."""

    def __init__(self, name: str, tracker: Tracker, out: str, warn: Callable[[str], None]) -> None:
        super().__init__(name=f"track {name}", daemon=True)
        self.trials: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._to = name
        self._tracker = tracker
        self._out = out
        self._warn = warn
        self._sender: Sender | None = None

    def run(self) -> None:
        """The thread."""
        try:
            self._sender = Sender(Results(self._out), self._to, self._tracker)
            self._sender.send_all()
            while trial_id := self.trials.get():
                self._sender.send(trial_id)
        except Exception as error:
            self._give_up(f"failed, and nothing more is sent to it: {first_line(error)}")

    def finish(self, wait: bool) -> None:
        """Wait until all is sent, as long as something is."""
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
    """What an error says, in one line."""
    return (str(error) or type(error).__name__).splitlines()[0]
