"""The ways from a broker to Postgres that are compared: ours, and the yardsticks'."""

from benchmarks.bench.sides.side import Side, Stalled

__all__ = ["Side", "Stalled"]
