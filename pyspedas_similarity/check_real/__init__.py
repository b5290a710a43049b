"""The check on measured data: both studies of the method's paper on a short pinned list of files."""
