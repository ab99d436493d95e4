"""What the user writes: immutable, validated, free of data."""
