"""Mirrors `adohub/net`: real sockets on the loopback, and a real hub in the test."""
