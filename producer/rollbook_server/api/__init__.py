"""The endpoints of the API: a module for each subject, and one table of all of them."""

from rollbook_server.api.table import ENDPOINTS

__all__ = ["ENDPOINTS"]
