"""Tests against the real command: SEALSTONE_STORE names it."""
