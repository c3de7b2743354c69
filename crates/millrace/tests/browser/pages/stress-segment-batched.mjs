// @segment/analytics-next with its batching switched on.

import { AnalyticsBrowser } from '@segment/analytics-next';
import { storm } from './storm.mjs';

const { collector, key } = window.job.storms['segment-batched'];
const analytics = AnalyticsBrowser.load(
  { writeKey: key, cdnURL: collector },
  { integrations: { 'Segment.io': { deliveryStrategy: { strategy: 'batching' } } } },
);
for (const [name, properties] of storm()) analytics.track(name, properties);
