"""From embeddings and seeds to a score per sample and to intervals."""
