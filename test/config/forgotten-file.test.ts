// The file of destroyed keys: what is appended is read by all, and damage is not passed over.
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { openForgottenFile } from '../../src/config/forgotten-file.ts';

function place() {
  const folder = mkdtempSync(join(tmpdir(), 'artery-forgotten-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return { rootKeyFile: join(folder, 'root.key'), file: join(folder, 'forgotten.jsonl') };
}

it('is read once by each who has it open, and grows', () => {
  const at = place();
  const [one, other] = [openForgottenFile(at), openForgottenFile(at)];
  expect(one.readNew()).toEqual([]);
  one.append(['a', 'b']);
  other.append(['c']);
  for (const each of [one, other]) {
    expect(each.readNew()).toEqual(['a', 'b', 'c']);
    expect(each.readNew()).toEqual([]);
  }
});

it('drops a line that a kill cut off, at the next append', () => {
  const at = place();
  const file = openForgottenFile(at);
  file.append(['a']);
  appendFileSync(at.file, '0123 half a li');
  expect(file.readNew()).toEqual(['a']);
  file.append(['b']);
  expect(file.readNew()).toEqual(['b']);
  expect(openForgottenFile(at).readNew()).toEqual(['a', 'b']);
});

it('is refused when a line is changed, and when lines are gone', () => {
  const at = place();
  const file = openForgottenFile(at);
  file.append(['first', 'second']);
  file.readNew();
  const text = readFileSync(at.file, 'utf8');
  writeFileSync(at.file, text.replace('first', 'frist'));
  expect(() => openForgottenFile(at).readNew()).toThrow(/damaged/);
  writeFileSync(at.file, '');
  expect(() => file.readNew()).toThrow(/shorter/);
});

it('refuses what it cannot write', () => {
  const at = place();
  writeFileSync(at.rootKeyFile, '');
  const below = { rootKeyFile: join(at.rootKeyFile, 'no-folder', 'root.key') };
  expect(() => openForgottenFile(below).append(['a'])).toThrow(/Nothing is forgotten/);
});
