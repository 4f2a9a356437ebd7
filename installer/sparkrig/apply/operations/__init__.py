"""What each operation of a plan does to the cluster. ``operator.Operator.run`` finds the handler by type."""
