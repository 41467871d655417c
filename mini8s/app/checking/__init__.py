"""What a host has and lacks, found out before anything is installed on it: needs no server and no settings.

Each room gives findings; `host.py`, `engine.py` and `kernel.py` look, `ports.py` and `base.py` are pure.
"""
