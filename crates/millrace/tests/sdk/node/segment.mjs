// Drives @segment/analytics-node as an application would: `host` and `writeKey`, nothing else but
// a small batch size, so that one journey takes several requests.

import { Analytics } from '@segment/analytics-node';
import { makeCalls, readJourney, report } from './journey.mjs';

const { host, writeKey, steps } = readJourney();
const client = new Analytics({ host, writeKey, maxEventsInBatch: 4, maxRetries: 0 });
const errors = [];
client.on('error', (error) => errors.push(JSON.stringify(error)));

const sent = await makeCalls(steps, client, () => client.flush());
await client.closeAndFlush();
report('@segment/analytics-node', sent, errors);
