"""Weights files: identify them, find the ones that belong together, load them."""

from .catalog import Bundle as Bundle
from .catalog import Catalog as Catalog
from .catalog import MissingPartsError as MissingPartsError
from .catalog import NoSyncHeadError as NoSyncHeadError
from .identify import Part as Part
from .identify import identify as identify
from .kinds import MODEL_PARTS as MODEL_PARTS
from .kinds import PartKind as PartKind
from .load import fingerprint_part as fingerprint_part
from .load import load_part as load_part
from .load import verify_part as verify_part
from .published import VARIANTS as VARIANTS
