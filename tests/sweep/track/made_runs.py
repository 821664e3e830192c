"""What tests of tracking share: the curves of a made trial, and a tracker that keeps what it is sent."""

from datetime import UTC, datetime
from types import SimpleNamespace

from sweep.track.tracking import Sender

START = datetime(2030, 1, 1, tzinfo=UTC)
EPOCHS = (0, 1, 4)
CURVES = {"retain_loss": [1.0, 0.5, 0.25], "gradient_degrees": [None, 80.0, 90.0], "penalty": [3.0, float("nan"), 1.0]}
"""For each name what was traced in `EPOCHS`; `penalty` is no column of its own."""

STORED = {("retain_loss", 0, 1.0), ("retain_loss", 1, 0.5), ("retain_loss", 4, 0.25)}
STORED |= {("gradient_degrees", 1, 80.0), ("gradient_degrees", 4, 90.0), ("penalty", 0, 3.0), ("penalty", 4, 1.0)}


class Log:
    """A tracker that keeps what it is sent: for each run its key, its points' epochs by sending, and its status."""

    def __init__(self):
        self.runs = []

    def __call__(self, run):
        kept = SimpleNamespace(trial=run.params["trial_id"], key=run.key, points=[], sent=[], status=None)
        self.runs.append(kept)

        def add(points):
            kept.points.extend(points)
            kept.sent.append([(point.name.removeprefix("trace/"), point.epoch) for point in points])

        def end(points, ending):
            add(points)
            kept.status = ending.status

        return SimpleNamespace(add=add, end=end)

    @property
    def trials(self):
        return [run.trial for run in self.runs if run.status]


def sent_to(results, name, log):
    """A sender that has sent all that was stored."""
    sender = Sender(results, name, log)
    sender.send_all()
    return sender
