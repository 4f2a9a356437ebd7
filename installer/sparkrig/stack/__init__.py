"""Stack file, catalog and facts -> desired releases. Pure except for reading the named files."""
