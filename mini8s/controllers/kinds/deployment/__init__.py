"""Deployment: moves from one ReplicaSet to the next at the pace that its strategy allows.

`controller` watches and hands over to `plan`, whose steps are in files of their own: `revision` (which
ReplicaSet is which, and their annotations), `rolling` (how many may come and go), `scale` (sizes without a
roll-out), `status` (conditions and counts). All of them work on `view.View`, the facts of one cycle.
"""
