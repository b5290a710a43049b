"""Tables and lists of intervals, as other programs write and read them."""
