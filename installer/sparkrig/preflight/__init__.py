"""What the cluster lacks for a stack, found before anything is written.

``collect`` reads, the modules of questions judge without a client, ``examine`` asks all of them.
"""
