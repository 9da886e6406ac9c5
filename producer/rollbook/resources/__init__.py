"""The calls of the client, one file for each resource."""
