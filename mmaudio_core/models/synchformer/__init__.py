"""Synchformer's visual branch."""

from .network import IGNORED_KEYS as IGNORED_KEYS
from .network import IGNORED_PREFIXES as IGNORED_PREFIXES
from .network import KEY_SUFFIXES as KEY_SUFFIXES
from .network import Synchformer as Synchformer
from .network import SynchformerParams as SynchformerParams
