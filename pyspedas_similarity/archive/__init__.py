"""Embeddings kept for years: what an archive holds, how it is stored, read, searched and looked after."""
