"""The hosted services' APIs, served by the user's own ComfyUI."""
