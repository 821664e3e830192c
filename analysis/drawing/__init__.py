"""Pictures: how figures look, what they are built of, and their files. The figures themselves are one floor up."""
