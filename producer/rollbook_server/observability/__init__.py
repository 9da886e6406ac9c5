"""What operators see of the server: metrics, spans, and whether it is ready. None of it names a user."""
