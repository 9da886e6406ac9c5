"""Sends the jobs of a product's life through Rollbook, and compares the result with the reference."""
