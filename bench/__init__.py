"""The benchmark: this pack and the published code, alternating, on full-size seeded weights.

``python dev.py bench`` runs it. ``options``, ``stages`` and ``requirements`` need the standard
library only.
"""
