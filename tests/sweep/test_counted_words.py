from sweep.words import counted, them


def test_one_of_a_thing_is_no_plural():
    assert [counted(count, "trial") for count in (0, 1, 2)] == ["0 trials", "1 trial", "2 trials"]
    assert [counted(count, "study", "studies") for count in (1, 3)] == ["1 study", "3 studies"]
    assert (them(1), them(2)) == ("it", "them")
