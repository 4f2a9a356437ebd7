"""Charts: sources, archives, metadata, dependencies."""
