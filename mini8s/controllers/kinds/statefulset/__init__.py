"""StatefulSet: pods with a name, a number and storage of their own, never two of one number.

`controller` watches and hands over to `plan`, whose steps are in files of their own: `identity` (what makes a
pod the one of its number), `storage` (its claims, and whose they are), `rolling` (who is replaced next),
`status`. All of them work on `view.View`, the facts of one cycle. That no number ever has two pods rests on
names: a pod's name is its number, and the next one is created when the last is gone from the API.
"""
