"""Formats of other products' APIs, turned into what Rollbook's calls take: for importers and for the HTTP server."""
