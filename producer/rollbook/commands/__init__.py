"""From the arguments of a call to a job, or to everything that is wrong with them. No I/O, no clock."""

from rollbook.commands.build import build, plain
from rollbook.commands.lists import listed
from rollbook.commands.sizes import oversize
from rollbook.commands.timing import Options, Place, moments_of, placed
from rollbook.commands.user_updates import telling_of

__all__ = ["Options", "Place", "build", "listed", "moments_of", "oversize", "placed", "plain", "telling_of"]
