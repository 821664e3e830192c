import pandas as pd

from analysis.statistics.intervals import mean_interval
from analysis.statistics.ranking import Ranking
from analysis.wording.words import by_numbers, further_words, left_out_words, ranking_words, seeds_words


def test_words_for_a_ranking_do_not_pass_over_what_could_not_be_judged():
    def said(equals, worse, unjudged):
        ranking = Ranking(
            ("a",), mean_interval([1.0]), *([(name,) for name in names] for names in (equals, worse, unjudged))
        )
        return ranking_words(ranking, lambda key: key[0])

    assert said("b", "c", "") == "; b is not distinguishable from it"
    assert said("bc", "", "de") == "; b and c are not distinguishable from it, and 2 of 4 others not judged"
    assert said("", "bc", "d") == "; distinguishable from it: 2 of 3 others"
    assert said("", "b", "") == "; the other is distinguishable from it"
    assert said("", "", "b").startswith("; the other is not judged")
    assert said("", "", "bc") == "; the others are not judged: too few seeds, or the same difference in each"


def test_words_for_seeds():
    assert seeds_words([1, 1]) == "n = 1 seed, so no intervals"
    assert seeds_words([3, 5, 4]).endswith("n = 3 to 5 seeds")
    assert seeds_words([3, 3]).endswith("n = 3 seeds")


def test_texts_are_sorted_by_the_numbers_in_them():
    words = ["forget 10 % at random", "forget 2.5 % at random", "forget 5 % at random"]
    assert sorted(words, key=by_numbers) == [words[1], words[2], words[0]]


def test_words_for_what_is_left_out_agree_in_number():
    trials = pd.DataFrame({"status": ["ok", "failed", "diverged", "failed"]})
    assert left_out_words(trials[:2]) == "; 1 failed trial left out"
    assert left_out_words(trials) == "; 1 diverged and 2 failed trials left out"
    assert further_words(0) == ""
    assert further_words(1) == " 1 further method, of a larger average gap, is not drawn."
    assert further_words(2) == " 2 further methods, of larger average gaps, are not drawn."
