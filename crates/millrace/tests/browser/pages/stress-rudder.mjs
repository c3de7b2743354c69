// @rudderstack/analytics-js: a request for each event.

import { RudderAnalytics } from '@rudderstack/analytics-js/bundled';
import { storm } from './storm.mjs';

const { collector, key } = window.job.storms.rudder;
const analytics = new RudderAnalytics();
analytics.load(key, collector, { configUrl: collector });
for (const [name, properties] of storm()) analytics.track(name, properties);
