"""Samples and embeddings that are searched: of loaded variables, of segments, or of an archive."""
