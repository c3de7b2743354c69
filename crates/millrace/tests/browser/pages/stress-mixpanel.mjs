// mixpanel-browser, which batches by itself.

import mixpanel from 'mixpanel-browser';
import { storm } from './storm.mjs';

const { collector, key } = window.job.storms.mixpanel;
mixpanel.init(key, { api_host: collector });
for (const [name, { number, parts }] of storm()) mixpanel.track(name, { number, ...parts });
