"""The index of vectors in a Weaviate server, for production."""
