"""Flower, the dashboard, as Rollbook runs it."""
