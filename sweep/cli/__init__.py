"""Commands: what each takes, and what it prints."""
