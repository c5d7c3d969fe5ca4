"""RFC 6455 by somebody else's book: the Autobahn suite's own cases against both of the hub's hosts."""
