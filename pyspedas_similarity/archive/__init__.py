"""Durable archives of embeddings: storage, exact search, indexes and maintenance."""
