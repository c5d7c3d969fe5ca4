"""The plugins that come with adohub. Each imports `adohub` alone: any could move out unchanged."""
