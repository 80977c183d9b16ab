"""Sound for many videos: what one process and a cluster have in common.

An item is a line of a manifest. Its stages are plain functions whose arguments and results can be
sent to another process: ``decode_item`` (CPU), ``generate`` (networks) and ``write_item`` (CPU).
A result is final once its sidecar lies beside it.
"""
