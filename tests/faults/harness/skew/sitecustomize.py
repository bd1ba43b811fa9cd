"""A wrong clock for a whole process: Python imports this at its start where the folder is on PYTHONPATH.

The wall clock alone is moved by CLOCK_SKEW seconds and goes on; the monotonic one is right, as on a real
machine whose clock was set wrongly.
"""

import datetime
import os

import time_machine

_now = datetime.datetime.now(datetime.UTC)
_skew = datetime.timedelta(seconds=float(os.environ["CLOCK_SKEW"]))
time_machine.travel(_now + _skew, tick=True).start()
