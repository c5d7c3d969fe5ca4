"""The wire without I/O: tRPC messages and WebSocket frames as pure functions of bytes.

Nothing here knows trio, a clock or a socket, so all of it can be tested by feeding and comparing bytes.
"""
