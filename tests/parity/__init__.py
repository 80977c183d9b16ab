"""Our numbers beside the goldens', tensor by tensor: for the tests, and as a table."""
