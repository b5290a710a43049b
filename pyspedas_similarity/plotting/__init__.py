"""Pictures of results, with matplotlib. Figures are made without pyplot: none stays open, no style changes."""
