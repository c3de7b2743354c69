"""Drives segment-analytics-python as an application would.

The journey comes as JSON on stdin, as `node/journey.mjs` describes it. This SDK takes snake_case
arguments and `datetime` objects; what was sent goes to stdout as one JSON line.
"""

import json
import re
import sys
from datetime import datetime

from segment.analytics.client import Client


def snake_case(name):
    return re.sub(r"[A-Z]", lambda letter: "_" + letter.group().lower(), name)


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: segment_driver.py HOST WRITE_KEY < STEPS")
    errors = []
    client = Client(
        sys.argv[2],
        host=sys.argv[1],
        gzip=True,
        max_retries=0,
        upload_size=4,
        on_error=lambda error, _batch: errors.append(str(error)),
    )
    sent = []
    for step in json.load(sys.stdin):
        if step["call"] == "flush":
            client.flush()
            continue
        arguments = {snake_case(name): value for name, value in step["args"].items()}
        arguments["timestamp"] = datetime.fromisoformat(
            arguments["timestamp"].replace("Z", "+00:00")
        )
        getattr(client, step["call"])(**arguments)
        sent.append(arguments["message_id"])
    client.shutdown()
    if errors:
        sys.exit("\n".join(errors))
    print(json.dumps({"sdk": "segment-analytics-python", "sent": sent}))


main()
