"""The index of the full text in a MeiliSearch server, for production."""
