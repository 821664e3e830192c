from analysis.statistics.intervals import mean_interval
from analysis.statistics.ranking import Ranking
from analysis.wording.words import ranking_words, seeds_words


def test_words_for_a_ranking_do_not_pass_over_what_could_not_be_judged():
    def said(equals, worse, unjudged):
        ranking = Ranking(
            ("a",), mean_interval([1.0]), *([(name,) for name in names] for names in (equals, worse, unjudged))
        )
        return ranking_words(ranking, lambda key: key[0])

    assert said("b", "c", "") == "; b is not distinguishable from it"
    assert said("bc", "", "de") == "; b and c are not distinguishable from it, and 2 of 4 others not judged"
    assert said("", "bc", "d") == "; 2 of 3 others are distinguishable from it"
    assert said("", "", "bc") == "; the others are not judged: too few seeds, or the same difference in each"


def test_words_for_seeds():
    assert seeds_words([1, 1]) == "n = 1 seed, so no intervals"
    assert seeds_words([3, 5, 4]).endswith("n = 3 to 5 seeds")
    assert seeds_words([3, 3]).endswith("n = 3 seeds")
