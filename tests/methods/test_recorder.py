"""A recorder tells of its rows as they come, and lets that cost unlearning no time."""

import time

import pytest
import torch
from torch import nn

from methods.task import Diverged, Recorder


def test_rows_are_told_as_they_come_with_what_was_probed():
    told = []
    recorder = Recorder(lambda model: {"probe_loss": 2.0}, tell=lambda rows: told.append([dict(row) for row in rows]))
    recorder.record(epoch=1, step=5, model=nn.Linear(1, 1), retain_loss=torch.tensor(0.5))
    recorder.record(epoch=2, step=9)
    assert [[row["epoch"] for row in rows] for rows in told] == [[1], [1, 2]]
    assert (told[0][0]["retain_loss"], told[0][0]["probe_loss"]) == (0.5, 2.0)
    assert told[-1] == recorder.rows


def test_what_diverges_is_told_before_it_ends_the_trial():
    told = []
    recorder = Recorder(tell=lambda rows: told.append(len(rows)))
    with pytest.raises(Diverged):
        recorder.record(epoch=1, step=1, loss=float("nan"))
    assert told == [1]


def test_telling_is_not_unlearnings_time():
    recorder = Recorder(tell=lambda rows: time.sleep(0.2))
    recorder.record(epoch=1, step=1)
    recorder.record(epoch=2, step=2)
    assert recorder.seconds_aside >= 0.4
    assert recorder.rows[1]["seconds"] < 0.2
