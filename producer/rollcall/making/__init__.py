"""From the arguments of a call to a job, or to everything that is wrong with them. No I/O, no clock."""

from rollcall.making.building import build, plain
from rollcall.making.listing import listed
from rollcall.making.sizing import oversize
from rollcall.making.stamping import Options, Place, moments_of, placed
from rollcall.making.tellings import telling_of

__all__ = ["Options", "Place", "build", "listed", "moments_of", "oversize", "placed", "plain", "telling_of"]
