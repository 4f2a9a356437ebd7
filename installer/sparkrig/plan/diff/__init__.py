"""Differences between documents, objects and revisions. Pure."""
