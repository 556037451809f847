// The package `node` fetches its binary in an install step that package-lock.json does not cover:
// what it put in place is compared here with the pinned digest. A new version needs a new digest.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

/** SHA-256 of bin/node, by the version in package.json and the platform. */
const PINNED = new Map([
  ['24.21.0 linux-x64', '7fde7b8afa198da66257f42ee2001d874c7355631e6d1579a5fb5ef1f246df4c'],
]);

const BINARY = 'node_modules/node/bin/node';
const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
const place = `${dependencies.node} ${process.platform}-${process.arch}`;
const onPinnedPlatform = `${process.platform}-${process.arch}` === 'linux-x64';

it('has a digest for the version of node that package.json names', () => {
  expect([...PINNED.keys()]).toContain(`${dependencies.node} linux-x64`);
});

it.skipIf(!onPinnedPlatform || !existsSync(BINARY))('is the binary that was pinned', () => {
  const digest = createHash('sha256').update(readFileSync(BINARY)).digest('hex');
  expect(digest).toBe(PINNED.get(place));
});
