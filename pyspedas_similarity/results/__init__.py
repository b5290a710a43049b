"""Search results, and what is made of them: figures, pages, reviews, comparisons, files."""
