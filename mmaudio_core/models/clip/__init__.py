"""CLIP: image and text features."""

from .network import CLIP as CLIP
from .network import IGNORED_KEYS as IGNORED_KEYS
from .network import KEY_SUFFIXES as KEY_SUFFIXES
from .network import PIXEL_MEAN as PIXEL_MEAN
from .network import PIXEL_STD as PIXEL_STD
from .network import CLIPParams as CLIPParams
