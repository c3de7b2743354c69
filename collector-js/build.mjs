// Builds the collector: `node build.mjs [FOLDER]`, preset `dist`.
//
// The result is one function expression of its settings. The server makes a script of it by calling
// it with those of the pipeline: `(function(SERVED){...})({...});`.

import { build } from 'esbuild';

const folder = process.argv[2] ?? 'dist';
await build({
  entryPoints: [new URL('./src/main.ts', import.meta.url).pathname],
  outfile: `${folder}/collector.js`,
  bundle: true,
  minify: true,
  format: 'iife',
  target: 'es2020',
  charset: 'utf8',
  banner: { js: '(function(SERVED){' },
  footer: { js: '})' },
  logLevel: 'warning',
});
