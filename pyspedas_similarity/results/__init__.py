"""What is done with what was found: looked at, judged, refined, joined to other lists, written, published."""
