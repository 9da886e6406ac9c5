"""What a worker reports: metrics, spans, logs, its health."""
