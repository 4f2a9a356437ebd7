"""Access to an API server: authentication, requests, watches. The only use of the kubernetes library."""
