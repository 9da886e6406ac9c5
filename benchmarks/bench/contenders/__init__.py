"""The contenders: the ways from a broker to Postgres that are compared."""

from benchmarks.bench.contenders.contender import Contender, Stalled

__all__ = ["Contender", "Stalled"]
