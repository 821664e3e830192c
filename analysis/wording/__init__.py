"""Sentences: what methods, tasks and findings are called, in tables, figures and on the page."""
