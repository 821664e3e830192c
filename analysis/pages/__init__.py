"""Pages of a sweep, of each configuration and of each trial: HTML, to be served while it runs or written as files."""
