"""adohub's tests; the folders mirror those of adohub/."""
