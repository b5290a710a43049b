"""From embeddings and queries to a score per sample and to intervals."""
