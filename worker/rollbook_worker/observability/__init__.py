"""What workers report: metrics, spans and logs."""
