"""What an API server says of a change. Pure."""
