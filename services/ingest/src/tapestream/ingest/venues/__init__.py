"""One file a venue, found by listing this package."""
