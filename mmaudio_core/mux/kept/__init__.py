"""What a file holds besides picture and sound: read, fitted to a container, and written again."""
