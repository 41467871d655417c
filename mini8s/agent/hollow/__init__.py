"""Nodes that only pretend: real agents' requests to the API, thousands of nodes in one process, and nothing
runs. What a cluster of that size costs its server can be seen on one machine."""
