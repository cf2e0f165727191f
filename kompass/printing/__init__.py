"""Documents on paper: offers, contracts and expense sheets as PDF.

What a page says is put together as plain data (`offers`, `expense_sheets`); templates lay it out, in a
process with limits that reads no files but fonts (`typesetter`).
"""
