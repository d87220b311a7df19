"""Which rows, by which index: conditions, the plan that finds them, and its running."""
