"""Drives rudder-sdk-python as an application would. It compresses, and takes nothing but 200."""

from journey import arguments_of, make_calls, report
from rudderstack.analytics.client import Client

host, write_key = arguments_of("rudder_driver.py")
errors = []
client = Client(
    write_key,
    host=host,
    max_retries=0,
    upload_size=4,
    on_error=lambda error, _batch: errors.append(str(error)),
)
sent = make_calls(client)
client.flush()
client.join()
report("rudder-sdk-python", sent, errors)
