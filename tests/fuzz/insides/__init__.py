"""A plugin that only the barrage loads."""
