// The life of one visit through the maps of this project: messages in turn, each folded onto what
// the ones before it made.
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadMappings } from '../../src/mapping/load.ts';
import type { Resource } from '../../src/model/resource.ts';
import { mergeResource } from '../../src/record/merge.ts';
import { run } from './build.ts';

const dir = fileURLToPath(new URL('../../mappings', import.meta.url));
const { set } = await loadMappings(dir);

const PV1 = `PV1|1|I|W^1^A${'|'.repeat(16)}V1`;
const END = `${PV1}${'|'.repeat(26)}20240302120000+0100`;

function message(event: string, ...segments: string[]): string {
  const header = `MSH|^~\\&|APP|FAC|||20240301083000+0100||ADT^${event}^ADT_A01|1|P|2.5.1`;
  const common = ['EVN||20240301083000+0100', 'PID|||1^^^H||DOE^J'];
  return `${[header, ...common, ...segments].join('\r')}\r`;
}

/** What is stored of one type when these messages came one after another. */
function live(type: string, ...messages: string[]): Resource | undefined {
  const stored = new Map<string, Resource & { id: string }>();
  for (const text of messages) {
    for (const mapped of run(set, text).resources) {
      const { id } = mapped.resource;
      stored.set(id, mergeResource(stored.get(id), mapped));
    }
  }
  return [...stored.values()].find(({ resourceType }) => resourceType === type);
}

describe('the state of a visit', () => {
  const [a01, a03, a08] = ['A01', 'A03', 'A08'].map((event) => message(event, PV1));
  const a13 = message('A13', PV1);

  it.each([
    ['a first-seen A08 makes it', [a08], 'in-progress'],
    ['A03 ends it', [a01, a03], 'finished'],
    ['an A08 after the discharge does not open it again', [a01, a03, a08], 'finished'],
    ['A13 does', [a01, a03, a13], 'in-progress'],
    ['an A08 with a discharge time ends it', [a01, message('A08', END)], 'finished'],
    ['an A08 after A11 leaves it cancelled', [a01, message('A11', PV1), a08], 'cancelled'],
  ])('%s', (_name, messages, status) => {
    expect(live('Encounter', ...messages.map(String))).toMatchObject({ status });
  });

  it.each(['A03', 'A11', 'A13'])('%s without PV1 is no silent success', (event) => {
    const found = run(set, message(event)).issues.filter(({ at }) => at.includes('PV1'));
    expect(found).toHaveLength(1);
    expect(found[0]).not.toMatchObject({ severity: 'information' });
  });

  it('A08 without PV1 is fine', () => {
    const found = run(set, message('A08')).issues.filter(({ at }) => at.includes('PV1'));
    expect(found).toEqual([]);
  });
});

describe('the diagnoses of a visit', () => {
  const dg1 = (code: string, action = '') => `DG1|1||${code}^x^I10${'|'.repeat(18)}${action}`;
  const count = (...messages: string[]) =>
    (live('Encounter', ...messages)?.diagnosis as unknown[] | undefined)?.length;

  it('are all of a message without action codes', () => {
    const first = message('A01', PV1, dg1('A'), dg1('B'));
    expect(count(first, message('A08', PV1, dg1('C')))).toBe(1);
  });

  it('are added to where DG1-21 says so', () => {
    const first = message('A01', PV1, dg1('A'), dg1('B'));
    expect(count(first, message('A08', PV1, dg1('C', 'A')))).toBe(3);
    expect(count(first, message('A08', PV1, dg1('B', 'U')))).toBe(2);
  });
});

describe('what is only a default', () => {
  it('does not undo a later state of an allergy', () => {
    const text = message('A08', 'AL1|1||PEN^Penicillin');
    const [mapped] = run(set, text).resources.filter(
      ({ resource }) => resource.resourceType === 'AllergyIntolerance',
    );
    if (mapped === undefined) throw new Error('no allergy');
    const resolved = { ...mapped.resource, clinicalStatus: { coding: [{ code: 'resolved' }] } };
    expect(mergeResource(resolved, mapped)).toMatchObject(resolved);
  });
});
