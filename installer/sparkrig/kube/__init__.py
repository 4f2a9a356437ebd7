"""Access to a Kubernetes cluster: requests, facts, watches, providers."""
