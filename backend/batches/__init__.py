"""Batches: a list of props with a common name, as plain data, and how far it has come."""
