// The reference pages are made from the source: a stale one fails here. `npm run docs` mends it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { referencePages } from '../../docs/generate.ts';
import { projectDir } from '../../src/config/config.ts';

it.each([...referencePages()])('%s is what the source says', (path, text) => {
  expect(readFileSync(join(projectDir(), path), 'utf8')).toBe(text);
});
