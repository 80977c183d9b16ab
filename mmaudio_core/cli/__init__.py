"""The command line: ``python -m mmaudio_core``, or ``mmaudio`` where it is installed."""
