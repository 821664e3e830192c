import pytest

from sweep.store import index
from sweep.store.read_only import ReadOnly
from sweep.store.results import Results


def row(number):
    names = ("task_id", "sweep", "dataset", "model", "scenario", "method", "code_version")
    return dict.fromkeys(names, "made") | {
        "trial_id": f"{number:03}",
        "status": "ok",
        "seed": number,
        "params": "{}",
        "config": "{}",
    }


@pytest.fixture
def many(tmp_path, monkeypatch):
    """A directory with more trials than an index has at least, none of which is indexed."""
    monkeypatch.setattr(index, "FEWEST", 3)
    monkeypatch.setattr(index, "SETTLED", -(10**12))
    results = Results(str(tmp_path))
    for number in range(5):
        results.write_trial(row(number))
    return tmp_path


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def read(monkeypatch):
    """How many files of trials were opened, of each time that they were read."""
    counts, own = [], index.read_all

    def counted(filesystem, paths, schema):
        counts.append(len(paths))
        return own(filesystem, paths, schema)

    monkeypatch.setattr(index, "read_all", counted)
    return counts


def test_the_index_is_kept_in_memory(many, read):
    before = files(many)
    results = ReadOnly(str(many))
    for _ in range(2):
        assert results.trials().table.num_rows == 5
    assert files(many) == before
    assert read == [5, 0]


def test_an_index_of_the_directory_is_read(many, read):
    Results(str(many)).trials()
    parts = files(many / ".index")
    assert len(parts) == 2, "the clock, and a part"
    results = ReadOnly(str(many))
    assert results.trials().table.num_rows == 5
    Results(str(many)).write_trial(row(5))
    assert results.trials().table.num_rows == 6
    assert files(many / ".index") == parts
    assert read == [5, 0, 1]


def test_nothing_else_is_written(many):
    results = ReadOnly(str(many))
    with pytest.raises(PermissionError, match="only read"):
        results.write_trial(row(6))
    results.remove("trials/000.parquet")
    assert (many / "trials/000.parquet").exists()
