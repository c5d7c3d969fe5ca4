"""Recorded conversations of real tRPC clients and servers, played again with adohub as the server."""
