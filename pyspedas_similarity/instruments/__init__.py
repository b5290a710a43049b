"""Where measurements come from: loaders by instrument, tplot variables, queries."""
