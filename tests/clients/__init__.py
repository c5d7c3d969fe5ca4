"""Real tRPC clients, one folder of Node modules per version, and the strings to move them by."""
