"""Server-side dry runs of upgrades and rollbacks before the first write."""
