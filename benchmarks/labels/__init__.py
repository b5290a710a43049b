"""Label benchmark: accuracy against labels per class."""
