"""Drives segment-analytics-python as an application would."""

from journey import arguments_of, make_calls, report
from segment.analytics.client import Client

host, write_key = arguments_of("segment_driver.py")
errors = []
client = Client(
    write_key,
    host=host,
    gzip=True,
    max_retries=0,
    upload_size=4,
    on_error=lambda error, _batch: errors.append(str(error)),
)
sent = make_calls(client)
client.shutdown()
report("segment-analytics-python", sent, errors)
