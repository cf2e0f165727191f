"""Electronic invoices of suppliers: ZUGFeRD, Factur-X and XRechnung become invoices to be approved.

A file is hostile: it is read in a process of its own (`reading`). What it says is checked (`checking`) before
anything is stored.
"""
