"""CRDs: applied, reviewed, migrated, handed over."""
