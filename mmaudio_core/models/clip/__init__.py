"""CLIP: image and text features."""

from .network import CLIP as CLIP
from .network import IGNORED_KEYS as IGNORED_KEYS
from .network import KEY_SUFFIXES as KEY_SUFFIXES
from .network import CLIPParams as CLIPParams
