"""How plugins give the hub topics, channels, procedures and the rest: contracts, hooks, loading."""
