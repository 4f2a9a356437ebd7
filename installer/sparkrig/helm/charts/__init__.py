"""Charts: where they come from, and what their files say."""
