"""A study: the shape of the paper's tables on any data set, cell by cell."""
