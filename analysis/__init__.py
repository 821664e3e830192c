"""Tables and figures from a results directory: Parquet in; neither torch nor ray is ever imported."""
