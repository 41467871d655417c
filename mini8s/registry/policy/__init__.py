"""Roles and bindings that every cluster has, and how they are kept so (upstream: `bootstrappolicy`)."""
