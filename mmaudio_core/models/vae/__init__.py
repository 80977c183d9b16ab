"""The latent autoencoder of mel spectrograms."""

from .context import CONTEXT_CHUNKS as CONTEXT_CHUNKS
from .network import VAE as VAE
from .network import VAEParams as VAEParams
from .network import fold_weights as fold_weights
