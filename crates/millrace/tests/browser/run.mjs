// Runs one scenario in Chromium: `node run.mjs NAME`.
//
// The first line of standard input is the job as JSON: where the collector is and what the scenario
// needs besides. The scenario's report goes out as one line of JSON. The browser then stays open
// until standard input ends, so that whoever asked can wait for what the SDK sends by itself.

import { createInterface } from 'node:readline';
import { Site } from './site.mjs';
import { Visitor } from './visitor.mjs';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const job = JSON.parse((await lines.next()).value);
const { default: scenario } = await import(`./scenarios/${process.argv[2]}.mjs`);

const site = await Site.open(job);
const visitor = await Visitor.arrive(job);
try {
  const report = await scenario({ job, site, visitor });
  process.stdout.write(`${JSON.stringify(report ?? {})}\n`);
  while (!(await lines.next()).done);
} catch (error) {
  const seen = visitor.log.map((line) => `  ${line}\n`).join('');
  process.stderr.write(`${error.stack}\nthe browser said:\n${seen}`);
  process.exitCode = 1;
} finally {
  await visitor.leave();
  await site.close();
}
process.exit();
