"""From the arguments of a call to a job, or to everything that is wrong with them. No I/O, no clock."""

from rollbook.making.building import build, plain
from rollbook.making.listing import listed
from rollbook.making.sizing import oversize
from rollbook.making.stamping import Options, Place, moments_of, placed
from rollbook.making.tellings import telling_of

__all__ = ["Options", "Place", "build", "listed", "moments_of", "oversize", "placed", "plain", "telling_of"]
