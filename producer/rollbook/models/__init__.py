"""What calls return. Plain values."""
