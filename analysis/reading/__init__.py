"""Rows: a results directory as data frames, and which of its trials a table or figure is about."""
