"""Sends many tracks with an SDK as it comes, retries and all, to a collector in trouble.

stress_driver.py SDK HOST WRITE_KEY COUNT. What the SDK reported goes to stdout as one JSON line.
"""

import json
import sys

sdk, host, write_key, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
if sdk == "segment":
    from segment.analytics.client import Client
else:
    from rudderstack.analytics.client import Client

errors = []
client = Client(
    write_key, host=host, upload_size=10, on_error=lambda error, _: errors.append(str(error))
)
for number in range(count):
    # The one in the middle is larger than the collector of the test takes.
    blob = "x" * (20_000 if number == count // 2 else 10)
    client.track(
        user_id="stress-user",
        event="Step",
        properties={"number": number, "blob": blob},
        message_id=f"{sdk}-{number}",
    )
client.flush()
client.join()
print(json.dumps({"errors": errors}))
