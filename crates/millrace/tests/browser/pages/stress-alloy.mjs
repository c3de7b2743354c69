// @adobe/alloy: a request for each event.

import { createInstance } from '@adobe/alloy';
import { storm } from './storm.mjs';

const { edge, storms } = window.job;
const { key } = storms.alloy;
const alloy = createInstance({ name: 'alloy' });
const quiet = () => {};
alloy('configure', {
  datastreamId: key,
  orgId: 'dev@AdobeOrg',
  edgeDomain: edge,
  thirdPartyCookiesEnabled: false,
  clickCollectionEnabled: false,
});
for (const [type, data] of storm()) alloy('sendEvent', { type, xdm: {}, data }).catch(quiet);
