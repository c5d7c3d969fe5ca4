"""The plugins that come with adohub. Each imports `adohub` and nothing deeper: any could move out unchanged."""
