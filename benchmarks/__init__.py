"""The benchmark: data sets with right answers, encoders, and measures of how well one finds the others' kin."""
