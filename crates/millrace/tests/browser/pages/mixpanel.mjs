// mixpanel-browser as a page uses it: the token, and one address changed (`api_host`).

import mixpanel from 'mixpanel-browser';

mixpanel.init('dev-token', { api_host: window.job.collector });
mixpanel.track('Product Viewed', { product_id: 'p-1', label: 'žluťoučký 🐎', none: null });
mixpanel.identify('ada');
mixpanel.people.set({ $email: 'ada@mail.example', plan: 'pro' });
mixpanel.track('Order Completed', { order_id: 'o-1', revenue: 39.5 });
mixpanel.set_group('company_id', 'moss');
mixpanel.get_group('company_id', 'moss').set({ name: 'Moss & Sons' });
window.report = {};
