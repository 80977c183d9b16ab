"""Many videos on a Ray cluster: Ray Data moves the items, the stages are those of one process.

Frames are decoded on CPU workers, features and sound are made by one actor per GPU that holds the
networks, and results are written by CPU workers, all at the same time. Ray Data bounds what lies
between them. Ray schedules and restarts; what an item has been through is kept in the store.
"""

from .connect import connect as connect
from .run import ClusterRun as ClusterRun
from .work import Generate as Generate
