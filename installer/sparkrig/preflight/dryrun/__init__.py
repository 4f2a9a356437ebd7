"""The server's dry run: what the API server says of an upgrade before it is made."""
