"""What processes report: traces, logs, metrics, a heartbeat, and the state of queues and tables."""
