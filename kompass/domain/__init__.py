"""The rules of the business: pure functions of documents, without a store, a clock or a network."""
