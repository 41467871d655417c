"""DaemonSet: a pod on every node that fits, and on no other.

`controller` watches and hands over to `plan`, whose steps are in files of their own: `placing` (which nodes,
and the pod that only the scheduler's one node takes), `presence` (what each node has too much or too little
of), `rolling` (old pods for new ones), `status`. All of them work on `view.View`, the facts of one cycle.
"""
