"""BigVGAN vocoders."""

from .fir import lowpass_filter as lowpass_filter
from .network import FLOAT32_SUFFIXES as FLOAT32_SUFFIXES
from .network import BigVGAN as BigVGAN
from .network import BigVGANParams as BigVGANParams
