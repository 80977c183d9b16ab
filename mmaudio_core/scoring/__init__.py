"""Judges of finished takes: each measures one thing and says so; none decides alone."""
