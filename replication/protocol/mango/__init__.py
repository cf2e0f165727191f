"""Mango, CouchDB's declarative queries: rules without I/O.

`selector` turns a selector into a predicate, `index` knows what an index definition is and which
key a document has in it, `query` reads the body of `_find`, `planner` chooses the index and the
range to scan, `explain` tells about that choice. Executing a plan needs a store and is not here.
"""
