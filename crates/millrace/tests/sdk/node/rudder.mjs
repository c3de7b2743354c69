// Drives @rudderstack/rudder-sdk-node as an application would: `dataPlaneUrl` and the write key.
// Its bodies are gzip, and its content type says that they are a form.

import { createRequire } from 'node:module';
import { makeCalls, readJourney, report } from './journey.mjs';

// The package's ECMAScript build does not say that it is one: Node can only load the other.
const Analytics = createRequire(import.meta.url)('@rudderstack/rudder-sdk-node');
const { host, writeKey, steps } = readJourney();
const errors = [];
const client = new (Analytics.default ?? Analytics)(writeKey, {
  dataPlaneUrl: host,
  flushAt: 4,
  gzip: true,
  errorHandler: (error) => errors.push(String(error)),
});

const sent = await makeCalls(steps, client, () => client.flush());
await client.flush();
report('@rudderstack/rudder-sdk-node', sent, errors);
