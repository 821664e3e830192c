"""The results directory: what lies on disk, and how it is read and written."""
