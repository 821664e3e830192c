"""What `--storage` leaves in an Optuna storage, in SQLite and on a PostgreSQL server, read with Optuna."""

import itertools
import json

import optuna
import postgresql
import pytest
from tiny_searches import QUICK, suggestions, trials, write_search
from tiny_sweeps import call

from sweep.search.objective import standings


@pytest.fixture(scope="module")
def server():
    with postgresql.server() as folder:
        yield folder


@pytest.fixture(params=["sqlite", "postgresql"])
def new_storage(request, tmp_path):
    """The URL of a storage that holds nothing, another at each call."""
    numbers = itertools.count()
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path / f'studies-{next(numbers)}.db'}"
    server = request.getfixturevalue("server")
    return lambda: postgresql.new_database(server, f"studies_{next(numbers)}")


def with_driver(url):
    """The URL as Optuna needs it."""
    return url.replace("postgresql://", "postgresql+psycopg://")


def search(path, out, *options):
    """Run or continue a search; nothing that it prints or stores may hold the password."""
    ended = call("search", path, "--out", out, "--executor", "inline", *options)
    assert (ended.code, ended.err) == (0, "")
    assert postgresql.PASSWORD not in ended.out
    assert not [path for path in out.rglob("*") if path.is_file() and postgresql.PASSWORD.encode() in path.read_bytes()]


def stored(url):
    """For each study and suggestion what the storage holds: state, values, parameters."""
    found = {}
    for name in optuna.get_all_study_names(with_driver(url)):
        for trial in optuna.load_study(study_name=name, storage=with_driver(url)).trials:
            key = name, trial.user_attrs["suggestion"]
            assert key not in found
            found[key] = trial.state.name, trial.values and tuple(trial.values), trial.params
    return found


def expected(out):
    """What it should hold, from the rows of results."""
    rows = suggestions(out)
    ends = standings(rows, list(trials(out).values()))
    found = {}
    for row in rows:
        key = row["study"], row["number"]
        drawn = json.loads(row["space"])
        params = json.loads(row["params"])
        found[key] = ends[key].state.upper(), ends[key].values, {name: params[name] for name in drawn}
    return found


def test_a_storage_holds_all_suggestions_as_finished_trials_also_where_it_was_behind_or_deleted(new_storage, tmp_path):
    path, out, url = write_search(tmp_path, [QUICK], trials=2, seeds=[0]), tmp_path / "out", new_storage()
    search(path, out, "--storage", url)
    assert stored(url) == expected(out)
    search(path, out, "--set", "search.trials=3")
    assert len(stored(url)) == 2
    search(path, out, "--set", "search.trials=4", "--storage", url)
    assert stored(url) == expected(out)
    assert len(stored(url)) == 4
    before, another = trials(out), new_storage()
    search(path, out, "--set", "search.trials=4", "--storage", another)
    assert stored(another) == expected(out)
    assert trials(out) == before


def test_a_server_that_refuses_is_one_line_without_the_password(server, tmp_path):
    url = postgresql.new_database(server, "refuses").replace(postgresql.PASSWORD, "not-that-password")
    ended = call("search", write_search(tmp_path, [QUICK]), "--out", tmp_path / "out", "--storage", url)
    assert (ended.code, len(ended.err.splitlines())) == (2, 1)
    assert ended.err.startswith("unlearn-sweep: --storage: postgresql+psycopg://tester:***@/refuses?host=")
    assert "password authentication failed" in ended.err
    assert "not-that-password" not in ended.out + ended.err
    assert not (tmp_path / "out").exists()
