"""Hypothesis without a time limit per example: a busy machine is slow, not wrong."""

from hypothesis import settings

settings.register_profile("feeds", deadline=None)
settings.load_profile("feeds")
