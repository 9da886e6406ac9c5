"""Run the relay: `python -m rollbook_ops.relay`."""

import sys

from rollbook_ops.relay.relay import main

sys.exit(main())
