// @adobe/alloy on a page that asks first: events wait until the visitor has decided.

import { createInstance } from '@adobe/alloy';

const alloy = createInstance({ name: 'alloy' });
visit().then(
  (report) => { window.report = report; },
  (error) => { window.report = { error: String(error) }; },
);

const consent = (general) =>
  alloy('setConsent', { consent: [{ standard: 'Adobe', version: '1.0', value: { general } }] });

async function visit() {
  await alloy('configure', {
    datastreamId: 'dev',
    orgId: 'dev@AdobeOrg',
    edgeDomain: window.job.edge,
    defaultConsent: 'pending',
    thirdPartyCookiesEnabled: false,
    clickCollectionEnabled: false,
  });
  const waiting = ['Mugs', 'Plates'].map((name) => alloy('sendEvent', {
    type: 'web.webpagedetails.pageViews',
    xdm: { web: { webPageDetails: { name, pageViews: { value: 1 } } } },
  }));
  await consent('in');
  await Promise.all(waiting);
  await consent('out');
  // The SDK keeps this one to itself.
  await alloy('sendEvent', { type: 'web.webinteraction.linkClicks', xdm: {} });
  return { cookies: document.cookie };
}
