// Drives mixpanel for Node as an application would, with the collector as its host: events single
// and in batches, history, profiles, groups and the verbs. The second argument is the token.

import Mixpanel from 'mixpanel';

const [address, token] = process.argv.slice(2);
const { hostname, port } = new URL(address);
// Over plain http it imports with the old API key alone; the token says whose records they are.
const client = Mixpanel.init(token, { host: hostname, port, protocol: 'http', key: 'any' });
const user = 'mixpanel-user';
const device = '0b8f1c52-6a0d-4f6e-9d0a-3f1f3f7c2a11';
const errors = [];
let sent = 0;

/** Makes a call that sends this many records, and waits until the SDK says how it went. */
const done = (count, call) =>
  new Promise((resolve) => {
    call((error) => {
      for (const one of [error].flat()) if (one) errors.push(String(one));
      sent += count;
      resolve();
    });
  });

const properties = { distinct_id: `$device:${device}`, $device_id: device, label: 'žluťoučký 🐎', plus: 'a+b' };
await done(1, (end) => client.track('Seen', properties, end));
await done(1, (end) =>
  client.track('$identify', { distinct_id: user, $anon_distinct_id: `$device:${device}` }, end),
);
const batch = Array.from({ length: 60 }, (_, number) => ({
  event: 'Batched',
  properties: { distinct_id: user, number, $insert_id: `batched-${number}` },
}));
await done(60, (end) => client.track_batch(batch, end));

const old = new Date(1_700_000_000_123);
await done(1, (end) => client.import('Old', old, { distinct_id: user, $insert_id: 'old-1' }, end));
const older = [0, 1, 2].map((number) => ({
  event: 'Older',
  properties: { distinct_id: user, time: 1_690_000_000 + number, $insert_id: `older-${number}` },
}));
await done(3, (end) => client.import_batch(older, end));

await done(1, (end) => client.people.set(user, { $email: 'ada@mail.example', plan: 'pro', trial: true }, end));
await done(1, (end) => client.people.set_once(user, { first: 'yes', plan: 'free' }, end));
await done(1, (end) => client.people.increment(user, 'logins', 2, end));
await done(1, (end) => client.people.append(user, 'items', 'mug', end));
await done(1, (end) => client.people.union(user, { tags: ['a', 'b', 'c'] }, end));
await done(1, (end) => client.people.remove(user, { tags: 'b' }, end));
await done(1, (end) => client.people.unset(user, ['trial'], end));
await done(1, (end) => client.people.track_charge(user, 9.5, { plan: 'pro' }, end));
await done(1, (end) => client.people.set('mixpanel-leaver', { plan: 'free' }, end));
await done(1, (end) => client.people.delete_user('mixpanel-leaver', { $ignore_alias: true }, end));

await done(1, (end) => client.groups.set('company_id', 'acme', { employees: 12, trial: true }, end));
await done(1, (end) => client.groups.set_once('company_id', 'acme', { employees: 1, since: 2020 }, end));
await done(1, (end) => client.groups.union('company_id', 'acme', { tags: ['a', 'b'] }, end));
await done(1, (end) => client.groups.remove('company_id', 'acme', { tags: 'a' }, end));
await done(1, (end) => client.groups.unset('company_id', 'acme', ['trial'], end));
await done(1, (end) => client.groups.set('company_id', 'closed', { employees: 0 }, end));
await done(1, (end) => client.groups.delete_group('company_id', 'closed', end));

await done(1, (end) => client.alias(user, 'another-name', end));

if (errors.length > 0) {
  process.stderr.write(`${errors.join('\n')}\n`);
  process.exitCode = 1;
} else {
  process.stdout.write(`${JSON.stringify({ sdk: 'mixpanel', sent })}\n`);
}
