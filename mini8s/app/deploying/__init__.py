"""The auto-deploy folder: what lies in it is in the cluster, and what leaves it leaves the cluster.

`folder.py` reads it, `plan.py` decides, `runner.py` does it and tells.
"""
