"""Notifies browsers at once that a feed has changed: over the feed socket, and as server-sent events."""
