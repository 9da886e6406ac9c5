"""The user model, pure: stamps, attributes, what a merge takes over, ids that are derived."""
