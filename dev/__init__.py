"""What ``dev.py`` is made of: setting up, ComfyUI in a process of its own, the demo.

``environment``, ``comfyui`` and ``options`` need the standard library only; the rest runs in the
virtual environment that ``environment`` makes, and is shared with the tests.
"""
