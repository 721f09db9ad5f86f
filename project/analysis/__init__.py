"""Read finished runs, group those that differ in their seed alone, and compare the groups."""
