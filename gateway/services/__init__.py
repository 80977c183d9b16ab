"""The services, a file each: their requests become jobs, jobs become their answers."""

from __future__ import annotations

from .eachlabs import Eachlabs
from .fal import Fal
from .inferencesh import InferenceSh
from .service import Service
from .wavespeed import Wavespeed

SERVICES: tuple[type[Service], ...] = (Fal, Wavespeed, Eachlabs, InferenceSh)
