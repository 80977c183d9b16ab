"""Data and objective of fine-tuning: from recordings to pieces that a trainer learns from."""
