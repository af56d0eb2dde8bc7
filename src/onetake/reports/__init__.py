"""Reports that people show to others: comparisons, and what was spent."""
