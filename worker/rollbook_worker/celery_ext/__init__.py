"""Everything that bends Celery: transport, batching, consumer, request, signals, pools."""
