"""A node's rooms. What they take of pyroute2 are single modules; all of it would be 6 MB more. One of these
needs `unittest.mock`; the rest of that package would be another."""

from mini8s.util.lean import bare_package

bare_package("pyroute2")
bare_package("unittest")
