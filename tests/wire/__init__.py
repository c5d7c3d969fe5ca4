"""The wire, by feeding and comparing bytes: no event loop, no clock, no socket."""
