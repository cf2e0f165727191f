"""Import of customers, contacts, suppliers, materials and opportunities from tables; see docs/imports.md."""
