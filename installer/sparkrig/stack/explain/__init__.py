"""Where a value comes from. Pure."""
