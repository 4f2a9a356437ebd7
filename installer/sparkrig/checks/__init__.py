"""Checks: questions put to the cluster, before a change and after it."""
