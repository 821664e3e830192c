import pytest
from made_cohorts import stored
from made_results import row

from analysis.reading.frames import read_frames
from sweep.store.results import Results


@pytest.fixture
def audited(tmp_path):
    """A function that stores made cohorts in one results directory and returns its path and its trials."""

    def store(*cohorts):
        results = Results(str(tmp_path / "results"))
        for each in cohorts:
            stored(results, each, row)
        return results.location, read_frames(results.location).trials

    return store
