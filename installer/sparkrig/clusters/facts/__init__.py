"""Facts of a cluster: version, nodes, GPUs, existing installations."""
