// Copies what the pages need of their npm packages into dist/, with each licence, and nothing else. The same input gives the same bytes.
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const files = [
  ['htmx.org/dist/htmx.min.js', 'htmx.min.js'],
  ['htmx.org/LICENSE', 'htmx.LICENSE.txt'],
  ['uplot/dist/uPlot.iife.min.js', 'uPlot.iife.min.js'],
  ['uplot/dist/uPlot.min.css', 'uPlot.min.css'],
  ['uplot/LICENSE', 'uPlot.LICENSE.txt'],
];

const dist = join(here, 'dist');
rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);
for (const [from, to] of files) copyFileSync(join(here, 'node_modules', from), join(dist, to));
console.log(`crates/desk/assets/dist: ${files.length} files`);
