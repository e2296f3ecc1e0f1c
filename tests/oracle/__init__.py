"""Slow, plain oracles: the design pages rendered so that they can be checked by eye."""
