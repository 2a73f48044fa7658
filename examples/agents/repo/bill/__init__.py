"""Splitting bills among people, in whole cents."""

from .split import split, split_by_weight

__all__ = ["split", "split_by_weight"]
