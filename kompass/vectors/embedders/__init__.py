"""What makes vectors of texts: a model in a package, a model of sentence-transformers, or a service."""
