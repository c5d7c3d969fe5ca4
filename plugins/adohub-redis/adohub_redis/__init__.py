"""Many hubs as one, over Redis or Valkey."""
