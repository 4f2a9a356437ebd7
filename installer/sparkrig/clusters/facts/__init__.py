"""What sparkrig knows of a cluster."""
