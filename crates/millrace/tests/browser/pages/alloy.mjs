// @adobe/alloy as a page uses it: `edgeDomain` changed, and third-party cookies switched off.

import { createInstance } from '@adobe/alloy';

const alloy = createInstance({ name: 'alloy' });
visit().then(
  (report) => { window.report = report; },
  (error) => { window.report = { error: String(error) }; },
);

async function visit() {
  await alloy('configure', {
    datastreamId: 'dev',
    orgId: 'dev@AdobeOrg',
    edgeDomain: window.job.edge,
    thirdPartyCookiesEnabled: false,
    clickCollectionEnabled: false,
  });
  await alloy('sendEvent', {
    type: 'web.webpagedetails.pageViews',
    xdm: { web: { webPageDetails: { name: 'Mugs', pageViews: { value: 1 } } } },
  });
  await alloy('sendEvent', {
    type: 'commerce.purchases',
    xdm: {
      identityMap: { CRMID: [{ id: 'ada', authenticatedState: 'authenticated', primary: true }] },
      commerce: { purchases: { value: 1 }, order: { purchaseID: 'o-1', priceTotal: 39.5, currencyCode: 'EUR' } },
    },
    data: { label: 'žluťoučký 🐎' },
  });
  // By a beacon, as on leaving the page.
  await alloy('sendEvent', {
    documentUnloading: true,
    type: 'web.webinteraction.linkClicks',
    xdm: { web: { webInteraction: { name: 'Buy', linkClicks: { value: 1 } } } },
  });
  const { identity } = await alloy('getIdentity');
  return { calls: 3, ecid: identity.ECID };
}
