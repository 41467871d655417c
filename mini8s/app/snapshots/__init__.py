"""Snapshots: everything a server needs to be that cluster again, in one file.

`base.py` says what a snapshot tells of itself, `archive.py` writes and reads the file, `seal.py` encrypts it,
`take.py` makes one, `keep.py` decides which go, `restore.py` makes a data folder of one, `repair.py` deals
with a database that broke, `schedule.py` runs it all by the clock.
"""
