"""Benchmark of this pack and of the published code, alternating, on full-size seeded weights.

``python dev.py bench`` runs it. ``options`` and ``stages`` need only the standard library.
"""
