"""The gate: everything that people send is judged here before it is stored."""
