"""What bytes is this value? Keys that sort as their values do, and rows. This room sees no engine."""
