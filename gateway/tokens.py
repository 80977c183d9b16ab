"""Tokens, which are as good as keys for one file, and the addresses made of them."""

from __future__ import annotations

import re
import secrets

from .tables import StoredFile

TOKEN = r"[A-Za-z0-9_-]{43}"
"""Pattern of one."""


def file_url(base_url: str, file: StoredFile) -> str:
    """Where a file is served."""
    return f"{base_url}/files/{file.token}/{file.file_name}"


def new_token() -> str:
    """32 random bytes."""
    return secrets.token_urlsafe(32)


def clean_name(name: str, default: str = "file") -> str:
    """A file name for URLs and answers: no folders, nothing that needs escaping."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    stem, dot, ending = base.rpartition(".")
    if not dot:
        stem, ending = base, ""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_")[:80] or default
    ending = re.sub(r"[^A-Za-z0-9]+", "", ending)[:8]
    return f"{stem}.{ending}" if ending else stem
