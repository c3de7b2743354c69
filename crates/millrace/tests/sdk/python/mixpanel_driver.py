"""Drives mixpanel for Python as an application would: the four addresses of its consumers point to
the collector, because `api_host` alone insists on https. `alias()` cannot be moved, since it uses a
consumer of its own; `merge()` stands in for it."""

import json
import sys

from mixpanel import BufferedConsumer, Consumer, Mixpanel

base, token = sys.argv[1], sys.argv[2]
addresses = {
    "events_url": f"{base}/track",
    "people_url": f"{base}/engage",
    "groups_url": f"{base}/groups",
    "import_url": f"{base}/import",
}
user, device = "mixpanel-user", "0b8f1c52-6a0d-4f6e-9d0a-3f1f3f7c2a11"
client = Mixpanel(token, consumer=Consumer(**addresses))
buffered = BufferedConsumer(**addresses)
batches = Mixpanel(token, consumer=buffered)

# Everything raises when the collector does not answer as Mixpanel does.
client.track(f"$device:{device}", "Seen", {"$device_id": device, "label": "žluťoučký 🐎", "plus": "a+b"})
client.track(user, "$identify", {"$anon_distinct_id": f"$device:{device}"})
# From here on the buffered one shows the secret on every path.
for number in range(3):
    properties = {"$insert_id": f"older-{number}"}
    batches.import_data(None, user, "Older", 1_690_000_000 + number, properties, api_secret="dev-secret")
for number in range(60):
    batches.track(user, "Batched", {"number": number})
buffered.flush()
properties = {"$insert_id": "old-1"}
client.import_data(None, user, "Old", 1_700_000_000.123, properties, api_secret="dev-secret")

client.people_set(user, {"$email": "ada@mail.example", "plan": "pro", "trial": True})
client.people_set_once(user, {"first": "yes", "plan": "free"})
client.people_increment(user, {"logins": 2})
client.people_append(user, {"items": "mug"})
client.people_union(user, {"tags": ["a", "b", "c"]})
client.people_remove(user, {"tags": "b"})
client.people_unset(user, ["trial"])
client.people_track_charge(user, 9.5, {"plan": "pro"})
batches.people_set("mixpanel-leaver", {"plan": "free"})
batches.people_delete("mixpanel-leaver", meta={"$ignore_alias": True})

client.group_set("company_id", "acme", {"employees": 12, "trial": True})
client.group_set_once("company_id", "acme", {"employees": 1, "since": 2020})
client.group_union("company_id", "acme", {"tags": ["a", "b"]})
client.group_remove("company_id", "acme", {"tags": "a"})
client.group_unset("company_id", "acme", ["trial"])
batches.group_set("company_id", "closed", {"employees": 0})
batches.group_delete("company_id", "closed")
buffered.flush()

client.merge(None, user, "another-name", api_secret="dev-secret")
print(json.dumps({"sdk": "mixpanel", "sent": 84}))
