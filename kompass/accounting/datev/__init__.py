"""DATEV's format (EXTF 700): batches of bookings, debtors and creditors, and a validator for both."""
