"""Calls that are compatible with Segment's HTTP API, so that its libraries can send to Rollbook."""

from rollbook_server.ingest.endpoints import ENDPOINTS

__all__ = ["ENDPOINTS"]
