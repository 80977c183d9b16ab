"""The benchmark: its options, its figures, and a run on tiny networks."""
