"""What all drivers in Python share: the journey comes as JSON on stdin, as `node/journey.mjs`
describes it; what was sent goes to stdout as one JSON line."""

import json
import re
import sys
from datetime import datetime


def arguments_of(usage):
    """The collector's address and the write key."""
    if len(sys.argv) != 3:
        sys.exit(f"usage: {usage} HOST WRITE_KEY < STEPS")
    return sys.argv[1], sys.argv[2]


def snake_case(name):
    return re.sub(r"[A-Z]", lambda letter: "_" + letter.group().lower(), name)


def make_calls(client):
    """Makes every call with the SDK's own method of that name; gives the ids that were sent."""
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
    return sent


def report(sdk, sent, errors):
    """Says what was sent, or fails with the errors that the SDK reported."""
    if errors:
        sys.exit("\n".join(errors))
    print(json.dumps({"sdk": sdk, "sent": sent}))
