"""Preflight: what the cluster lacks for a stack, checked before the first write.

``collect`` reads, the modules of questions judge without a client, ``examine`` asks all of them.
"""
