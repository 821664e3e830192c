"""Methods that misbehave, as `sweep_plugins:Name`."""

import contextlib
import ctypes
import os
import resource
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from methods import FineTune, Method, hyperparameter


@dataclass(frozen=True)
class Raises(Method):
    """Raises, until the environment says REPAIRED."""

    name: ClassVar[str] = "raises"
    source: ClassVar[str] = "-"

    def unlearn(self, task):
        if "REPAIRED" not in os.environ:
            raise ArithmeticError("this method never works")
        return task.model


@dataclass(frozen=True)
class Diverges(FineTune):
    """Fine-tuning whose loss becomes NaN."""

    name: ClassVar[str] = "diverges"

    def gradients(self, task, retain, forget, progress):
        values = super().gradients(task, retain, forget, progress)
        return {key: value * float("nan") for key, value in values.items()}


@dataclass(frozen=True)
class Dies(Method):
    """Takes its process with it, as the kernel does when memory runs out."""

    name: ClassVar[str] = "dies"
    source: ClassVar[str] = "-"

    def unlearn(self, task):
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Slow(FineTune):
    """Fine-tuning that takes PAUSE seconds longer."""

    name: ClassVar[str] = "slow"

    def unlearn(self, task):
        time.sleep(float(os.environ.get("PAUSE", 0)))
        return super().unlearn(task)


@dataclass(frozen=True)
class Lasts(Method):
    """Records an epoch every tenth of a second, until a file is there."""

    name: ClassVar[str] = "lasts"
    source: ClassVar[str] = "-"

    until: str = hyperparameter("", "the file")

    def unlearn(self, task):
        epoch = 0
        while not Path(self.until).exists():
            epoch += 1
            time.sleep(0.1)
            task.recorder.record(epoch=epoch, step=epoch, retain_loss=1.0 / epoch)
        return task.model


@dataclass(frozen=True)
class Noted(Method):
    """Notes each run in a file in the folder `notes` and takes PAUSE seconds; number `deadly` ends its process."""

    name: ClassVar[str] = "noted"
    source: ClassVar[str] = "-"

    number: int = hyperparameter(0, "which one")
    deadly: int = hyperparameter(-1, "the number that dies")
    notes: str = hyperparameter("", "a folder")

    def unlearn(self, task):
        with (Path(self.notes) / f"{self.number}-{task.seed}").open("a") as notes:
            notes.write(f"{os.getpid()}\n")
        if self.number == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(float(os.environ.get("PAUSE", 0)))
        return task.model


@dataclass(frozen=True)
class DiesAbove(FineTune):
    """Fine-tuning that takes its process with it where the learning rate is above 0.1."""

    name: ClassVar[str] = "dies-above"

    def unlearn(self, task):
        if self.lr > 0.1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().unlearn(task)


@dataclass(frozen=True)
class Hangs(Method):
    """Never ends; code that Python runs, which no Exception ends."""

    name: ClassVar[str] = "hangs"
    source: ClassVar[str] = "-"

    def unlearn(self, task):
        while True:
            with contextlib.suppress(Exception):
                time.sleep(1)


@dataclass(frozen=True)
class Stuck(Method):
    """Never ends; a call that keeps the interpreter's lock, where no exception and no signal arrives."""

    name: ClassVar[str] = "stuck"
    source: ClassVar[str] = "-"

    def unlearn(self, task):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
        ctypes.PyDLL(None).sleep(3600)


@dataclass(frozen=True)
class Greedy(Method):
    """Takes memory until something ends it."""

    name: ClassVar[str] = "greedy"
    source: ClassVar[str] = "-"

    def unlearn(self, task):
        taken = []
        while True:
            taken.append(b"x" * 10_000_000)
            time.sleep(0.01)


@dataclass(frozen=True)
class Limited(Method):
    """Takes memory, of `library`'s, in a process that may have 500 MB more than it has."""

    name: ClassVar[str] = "limited"
    source: ClassVar[str] = "-"

    library: str = hyperparameter("python", "whose memory")

    def unlearn(self, task):
        before = resource.getrlimit(resource.RLIMIT_AS)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 500_000_000, before[1]))
        take = {"python": lambda: b"x" * 10_000_000, "torch": lambda: torch.ones(10_000_000, dtype=torch.uint8)}
        taken = []
        try:
            while True:
                taken.append(take[self.library]())
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)
