// @segment/analytics-next as a page uses it: the write key, and one address changed (`cdnURL`).

import { AnalyticsBrowser } from '@segment/analytics-next';
import { visit } from './visit.mjs';

const { collector, key } = window.job;
const analytics = AnalyticsBrowser.load({ writeKey: key, cdnURL: collector });
visit(analytics);
