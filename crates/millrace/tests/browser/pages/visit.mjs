// What a visitor does, by the methods that the SDKs of Segment and RudderStack share.

export async function visit(analytics) {
  await analytics.page('Mugs');
  await analytics.track('Product Viewed', { product_id: 'p-1', label: 'žluťoučký 🐎', none: null });
  await analytics.identify('ada', { email: 'ada@mail.example', name: 'Ada Moss', plan: 'pro' });
  await analytics.track('Order Completed', { order_id: 'o-1', revenue: 39.5, currency: 'EUR' });
  await analytics.group('moss', { name: 'Moss & Sons' });
  window.report = { calls: 5 };
}
