"""Streams between a client and a process or a port of a pod: exec, attach, port-forward.

kubectl speaks three protocols for them (WebSocket, SPDY/3.1, SPDY inside WebSocket) and all end here, in the
agent: the server passes bytes on and knows none. What a protocol means is pure (`websocket`, `spdy`,
`channels`, `forwarding`); a session (`command`, `forward`) turns between its sockets on one thread, so that
nothing is locked and a TLS socket is never in two threads' hands.
"""
