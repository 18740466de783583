"""Runs the stack of `bus_app` in a process of its own, which a test may kill: `bus_app_server.py FOLDER`.

Prints the API's URL on its first line.
"""

import sys
import time
from pathlib import Path

from localcloud.services.cloud import running_cloud
from support.events.bus_app import settings

with running_cloud(settings(Path(sys.argv[1]), lambda _line: None)) as cloud:
    print(cloud.api_url, flush=True)
    while True:
        time.sleep(1)
