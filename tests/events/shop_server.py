"""Runs the stack of `shop` in a process of its own, which a test may kill: `shop_server.py FOLDER`.

Prints the API's URL on its first line.
"""

import sys
import time
from pathlib import Path

from events.shop import settings
from localcloud.services.cloud import running_cloud

with running_cloud(settings(Path(sys.argv[1]), lambda _line: None)) as cloud:
    print(cloud.api_url, flush=True)
    while True:
        time.sleep(1)
