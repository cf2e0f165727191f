"""The documents of a cluster in CouchDB: what is committed goes there, what comes there otherwise is judged.

Both ways are replication as any two servers do it, with histories and checkpoints. A process shows CouchDB
what it has committed before it answers (`showing`); the leader sees to all the rest (`keeping`).
"""
