"""What a generation costs: price book, estimate, comparison."""
