// @rudderstack/analytics-js with its batching switched on.

import { RudderAnalytics } from '@rudderstack/analytics-js/bundled';
import { storm } from './storm.mjs';

const { collector, key } = window.job.storms['rudder-batched'];
const analytics = new RudderAnalytics();
analytics.load(key, collector, { configUrl: collector, queueOptions: { batch: { enabled: true } } });
for (const [name, properties] of storm()) analytics.track(name, properties);
