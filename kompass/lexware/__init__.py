"""Exchanging files with Lexware: contracts and customers go out, payments and invoices come in.

What is in the files is `kompass.accounting`'s; here is which of it is due, where files lie, what became of
them, and what a person has to look at. All of that is in one file (`store`), which several processes have.
"""
