// Sends many tracks with an SDK as it comes, retries and all, to a collector in trouble:
// stress.mjs SDK HOST WRITE_KEY COUNT. What the SDK reported goes to stdout as one JSON line.

import { createRequire } from 'node:module';
import { Analytics as Segment } from '@segment/analytics-node';

const Rudder = createRequire(import.meta.url)('@rudderstack/rudder-sdk-node');
const [sdk, host, writeKey, count] = process.argv.slice(2);
const errors = [];
let client;
if (sdk === 'segment') {
  client = new Segment({ host, writeKey, maxEventsInBatch: 10 });
  client.on('error', (error) => errors.push(JSON.stringify(error)));
} else {
  client = new (Rudder.default ?? Rudder)(writeKey, {
    dataPlaneUrl: host,
    flushAt: 10,
    errorHandler: (error) => errors.push(String(error)),
  });
}
for (let number = 0; number < Number(count); number += 1) {
  // The one in the middle is larger than the collector of the test takes.
  const blob = 'x'.repeat(number === Math.floor(count / 2) ? 20_000 : 10);
  client.track({
    userId: 'stress-user',
    event: 'Step',
    properties: { number, blob },
    messageId: `${sdk}-${number}`,
  });
}
await (sdk === 'segment' ? client.closeAndFlush() : client.flush());
process.stdout.write(`${JSON.stringify({ errors })}\n`);
