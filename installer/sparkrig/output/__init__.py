"""Records -> text and JSON. Reads no cluster and no file; only the progress displays write."""
