"""A container's log, read from the files that the engine's json-file driver keeps.

The engine's own followers (20.10) repeat or skip lines while a file is rotated, and cost both sides a
stream. What the files say is pure (`entries`); `files` opens them and finds the way from one to the next,
`watch` sleeps until something happens to them (inotify), `stream` is what the kubelet is given.
"""
