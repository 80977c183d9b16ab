"""What is compared: each side does the same stages its own way, in a process of its own."""
