"""What is learned and forgotten: data sets, splits, and networks."""
