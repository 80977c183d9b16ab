"""Synchformer: the visual branch, and the audio branch with the synchronisation head."""

from .network import IGNORED_KEYS as IGNORED_KEYS
from .network import IGNORED_PREFIXES as IGNORED_PREFIXES
from .network import KEY_SUFFIXES as KEY_SUFFIXES
from .network import Synchformer as Synchformer
from .network import SynchformerParams as SynchformerParams
from .sync_head import SYNC_HEAD_SIGNATURE as SYNC_HEAD_SIGNATURE
from .sync_head import VISUAL_PREFIX as VISUAL_PREFIX
from .sync_head import WINDOW_SEGMENTS as WINDOW_SEGMENTS
from .sync_head import SyncHead as SyncHead
from .sync_head import SyncHeadParams as SyncHeadParams
