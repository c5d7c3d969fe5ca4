"""The only package that touches a socket."""
