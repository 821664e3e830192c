"""Sweeps over unlearning methods: spec, plan, data, models, training, evaluation, execution, results.

Importing this package loads neither torch nor ray; its modules load what they need.
"""
