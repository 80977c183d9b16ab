"""Development tools behind ``dev.py``: environments, a ComfyUI process and its client, the demo.

``environment``, ``comfyui`` and ``options`` need only the standard library; the rest runs inside
``.venv``. The tests use the server and the client too.
"""
