"""Stack file, catalogue and facts -> what every release shall be. Pure but for reading the named files."""
