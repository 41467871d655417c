"""A node's rooms. What they take of pyroute2 are single modules; all of it would be 6 MB more."""

from mini8s.util.lean import bare_package

bare_package("pyroute2")
