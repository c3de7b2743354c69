// @rudderstack/analytics-js as a page uses it: the write key and two addresses.

import { RudderAnalytics } from '@rudderstack/analytics-js/bundled';
import { visit } from './visit.mjs';

const { collector, key } = window.job;
const analytics = new RudderAnalytics();
analytics.load(key, collector, { configUrl: collector });
visit(analytics);
