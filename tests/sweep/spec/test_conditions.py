from sweep.spec.conditions import acts


def test_a_hyperparameter_acts_where_those_that_it_depends_on_act_and_allow_it():
    when = {"a": {"b": [1, 3]}, "b": {"c": [2]}, "both": {"a": [0], "c": [2]}}
    assert acts("c", when, {"c": 5})
    assert acts("a", when, {"b": 1, "c": 2})
    assert not acts("a", when, {"b": 2, "c": 2})
    assert not acts("a", when, {"b": 1, "c": 3})  # b allows it, but c does not let b act
    assert acts("both", when, {"a": 0, "b": 3, "c": 2})
    assert not acts("both", when, {"a": 1, "b": 3, "c": 2})
    assert not acts("b", when, {})
