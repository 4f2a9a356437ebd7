"""Helm releases as Helm stores them in the cluster."""
