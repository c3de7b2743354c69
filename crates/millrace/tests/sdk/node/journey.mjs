// The journey that every driver makes with its SDK: steps as JSON on stdin, in order. A step is
// {"call": NAME, "args": {...}}, or {"call": "flush"} where everything so far must have been sent
// before the next call. What was sent goes to stdout as one JSON line.

import { readFileSync } from 'node:fs';

/** The collector's address and write key, and the steps. */
export function readJourney() {
  const [host, writeKey] = process.argv.slice(2);
  if (!host || !writeKey) {
    process.stderr.write('usage: DRIVER HOST WRITE_KEY < STEPS\n');
    process.exit(64);
  }
  return { host, writeKey, steps: JSON.parse(readFileSync(0, 'utf8')) };
}

/** Makes every call with the SDK's own method of that name; `flush` must send and wait. */
export async function makeCalls(steps, client, flush) {
  const sent = [];
  for (const { call, args } of steps) {
    if (call === 'flush') {
      await flush();
      continue;
    }
    client[call]({ ...args, timestamp: new Date(args.timestamp) });
    sent.push(args.messageId);
  }
  return sent;
}

/** Says what was sent, or fails with the errors that the SDK reported. */
export function report(sdk, sent, errors) {
  if (errors.length > 0) {
    process.stderr.write(errors.map((error) => `${error}\n`).join(''));
    process.exitCode = 1;
    return;
  }
  process.stdout.write(`${JSON.stringify({ sdk, sent })}\n`);
}
