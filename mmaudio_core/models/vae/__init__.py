"""The latent autoencoder of mel spectrograms."""

from .network import NEIGHBOURS as NEIGHBOURS
from .network import VAE as VAE
from .network import VAEParams as VAEParams
from .network import fold_weights as fold_weights
