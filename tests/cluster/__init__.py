"""Many hubs over one Valkey: real processes, and what they promise together while any of them fails."""
