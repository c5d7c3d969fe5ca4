"""The hub without sockets: drafts in, one order, events out to whoever subscribed."""
