"""Notifies HTTP servers, after the commit, whose feeds may have changed."""

from rollbook_worker.feed_changes.notifier import FeedNotifier

__all__ = ["FeedNotifier"]
