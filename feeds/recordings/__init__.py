"""Recordings of what exchanges sent: written, read, verified, and played in the place of an exchange."""
