"""The flow network: velocity of an audio latent, given CLIP, sync and text features."""

from .conditions import Conditions as Conditions
from .network import IGNORED_KEYS as IGNORED_KEYS
from .network import FlowNetwork as FlowNetwork
from .network import FlowParams as FlowParams
