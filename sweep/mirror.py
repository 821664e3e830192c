"""A copy of running studies in an Optuna storage, for dashboards. Nothing is ever read back from it to go on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweep.errors import InputError
from sweep.study import Study

CONNECT_SECONDS = 10
"""How long a database server may take to accept a connection."""

FLUSH_SECONDS = 30
"""How long the end of a search waits for what is still to be copied."""

NUMBER = "suggestion"
"""The attribute of a copied trial that holds its suggestion's number."""


class Mirror:
    """Copies suggestions as they begin and end, in a thread of its own: a storage that hangs holds nothing up."""

    def __init__(self, url: str, warn: Callable[[str], None]) -> None:
        """Connect.

        Raises:
            InputError: there is no such storage, or it does not answer.
        """
        self._storage = _connect(url)
        self._warn = warn
        self._ids: dict[tuple[str, int], int] = {}
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="mirror", daemon=True)
        self._thread.start()

    def reconcile(self, study: Study) -> None:
        """Make the copy equal to what the rows said when the study was built."""
        finished = {number: study.frozen(number) for number in study.finished()}
        known = set(study.suggestions)
        directions = list(study.optuna.directions)
        self._tasks.put(lambda: self._reconcile(study.name, directions, finished, known))

    def begin(self, study: Study, number: int) -> None:
        """A suggestion's first trial starts."""
        frozen = study.frozen(number)
        self._tasks.put(lambda: self._begin(study.name, number, frozen))

    def report(self, study: Study, number: int, step: int, value: float) -> None:
        """The running mean after `step` seeds."""

        def copy() -> None:
            self._storage.set_trial_intermediate_value(self._ids[study.name, number], step, value)

        self._tasks.put(copy)

    def end(self, study: Study, number: int) -> None:
        """A suggestion ended."""
        values, state = study.verdict(number)

        def copy() -> None:
            self._storage.set_trial_state_values(self._ids[study.name, number], state, values)

        self._tasks.put(copy)

    def close(self) -> None:
        """Wait for what is still to be copied, within limits."""
        self._tasks.put(None)
        self._thread.join(FLUSH_SECONDS)
        if self._thread.is_alive():
            self._warn("--storage: does not answer; results are complete without it")

    def _work(self) -> None:
        while task := self._tasks.get():
            try:
                task()
            except Exception as error:
                why = (str(error) or type(error).__name__).splitlines()[0]
                self._warn(f"--storage: failed, and nothing more is copied to it; results are complete: {why}")
                return

    def _reconcile(
        self,
        name: str,
        directions: list[StudyDirection],
        finished: dict[int, FrozenTrial],
        known: set[int],
    ) -> None:
        study = optuna.create_study(storage=self._storage, study_name=name, directions=directions, load_if_exists=True)
        copies = {int(trial.user_attrs.get(NUMBER, -1)): trial for trial in study.get_trials(deepcopy=False)}
        if any(_differs(copy, finished.get(number)) for number, copy in copies.items()):
            optuna.delete_study(study_name=name, storage=self._storage)
            copies = {}
            optuna.create_study(storage=self._storage, study_name=name, directions=directions)
        study_id = self._storage.get_study_id_from_name(name)
        for number, copy in copies.items():
            if number in finished or (number in known and not copy.state.is_finished()):
                self._ids[name, number] = copy._trial_id
            elif not copy.state.is_finished():
                self._storage.set_trial_state_values(copy._trial_id, TrialState.FAIL)
        for number, original in finished.items():
            if number not in copies:
                self._ids[name, number] = self._storage.create_new_trial(study_id, _copied(original, number))
            elif not copies[number].state.is_finished():
                self._update(self._ids[name, number], original)

    def _begin(self, name: str, number: int, frozen: FrozenTrial) -> None:
        if (name, number) not in self._ids:
            study_id = self._storage.get_study_id_from_name(name)
            self._ids[name, number] = self._storage.create_new_trial(study_id, _copied(frozen, number))

    def _update(self, trial_id: int, original: FrozenTrial) -> None:
        for step, value in original.intermediate_values.items():
            self._storage.set_trial_intermediate_value(trial_id, step, value)
        self._storage.set_trial_state_values(trial_id, original.state, original.values)


def _copied(original: FrozenTrial, number: int) -> FrozenTrial:
    return optuna.trial.create_trial(
        state=original.state,
        values=original.values,
        params=original.params,
        distributions=original.distributions,
        user_attrs={NUMBER: number},
        intermediate_values=original.intermediate_values,
    )


def _differs(copy: FrozenTrial, original: FrozenTrial | None) -> bool:
    """Whether a copy says what is not so, and can no longer be changed."""
    if not copy.state.is_finished():
        return original is not None and copy.params != original.params
    if original is None:
        return copy.state != TrialState.FAIL
    values = copy.state == TrialState.COMPLETE and copy.values != original.values
    return values or (copy.state, copy.params) != (original.state, original.params)


def _connect(url: str) -> RDBStorage:
    try:
        address = sqlalchemy.make_url(url)
    except sqlalchemy.exc.ArgumentError:
        raise InputError(f"--storage: '{url.rpartition('@')[2]}' is no URL such as sqlite:///search.db") from None
    if address.drivername == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    shown = address.render_as_string(hide_password=True)
    options: dict[str, Any] = {}
    if address.get_backend_name() in ("postgresql", "mysql"):
        options = {"connect_args": {"connect_timeout": CONNECT_SECONDS}, "pool_pre_ping": True}
    try:
        return RDBStorage(address.render_as_string(hide_password=False), engine_kwargs=options)
    except ImportError as error:
        raise InputError(f"--storage: {shown}: the driver is not installed: {_first_line(error)}") from error
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError, ValueError) as error:
        raise InputError(f"--storage: {shown}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return (str(cause) or type(cause).__name__).splitlines()[0]
