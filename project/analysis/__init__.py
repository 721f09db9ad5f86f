"""What finished runs say, one by one and in groups."""
