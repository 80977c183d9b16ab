"""Damaged files: each must end in a clear error or a correct result."""
