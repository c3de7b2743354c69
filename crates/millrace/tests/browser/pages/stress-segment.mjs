// @segment/analytics-next: a request for each event.

import { AnalyticsBrowser } from '@segment/analytics-next';
import { storm } from './storm.mjs';

const { collector, key } = window.job.storms.segment;
const analytics = AnalyticsBrowser.load({ writeKey: key, cdnURL: collector });
for (const [name, properties] of storm()) analytics.track(name, properties);
