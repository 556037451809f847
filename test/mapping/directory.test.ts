// Practitioners, places and organizations that values name: kept over messages, and never
// mixed up between them.
import { describe, expect, it } from 'vitest';
import type { Resource } from '../../src/model/resource.ts';
import { adt, mustCompile, patientOf, run } from './build.ts';

const XCN = `
datatype: XCN
yields: Practitioner
resource:
  key: [[XCN.1]]
  display: [XCN.2]
rows:
  - { from: XCN.1, to: "identifier[0].value" }
  - { from: XCN.2, to: "name[0].family" }
  - { from: XCN.5, to: gender }
  - { from: XCN.6, to: "name[0].prefix[]" }
  - { from: XCN.19, to: "qualification[0].period.start", as: dateTime }
`;
const ROWS = '- { from: PID-10, to: "generalPractitioner[]", using: XCN-Practitioner }';
const files = patientOf(ROWS, { 'datatypes/XCN-Practitioner.yaml': XCN });

type Set = ReturnType<typeof mustCompile>;

function practitioners(set: Set, values: string, options?: Parameters<typeof run>[2]): Resource[] {
  const { resources, issues } = run(set, adt(`PID|||A|||||||${values}`), options);
  expect(issues.filter(({ severity }) => severity === 'error')).toEqual([]);
  return resources.map(({ resource }) => resource).filter((r) => r.resourceType !== 'Patient');
}

function families(set: Set, values: string): unknown[] {
  return practitioners(set, values)
    .filter(({ resourceType }) => resourceType === 'Practitioner')
    .map(({ identifier, name }) => [
      (identifier as { value: string }[])[0]?.value,
      (name as { family: string }[])[0]?.family,
    ]);
}

describe('resources of directory values', () => {
  it('are the same whether they are made or remembered', () => {
    const set = mustCompile(files);
    const outputs = [1, 2, 3, 4].map(() => JSON.stringify(practitioners(set, '7^Who~8^Else')));
    expect(new Set(outputs).size).toBe(1);
    expect(families(set, '7^Who~8^Else')).toEqual([
      ['7', 'Who'],
      ['8', 'Else'],
    ]);
  });

  it('are completed within a message without a trace in the next one', () => {
    const set = mustCompile(files);
    const plain = [1, 2, 3].map(() => JSON.stringify(practitioners(set, '7^Who')));
    for (const values of ['7^Who~7^^^^female', '7^Who~7^Other^^^female', '7^^^^^DR~7^Who']) {
      practitioners(set, values);
      practitioners(set, values);
      const [first] = practitioners(set, values);
      expect(JSON.stringify(first)).not.toBe(plain[0]);
    }
    expect(JSON.stringify(practitioners(set, '7^Who'))).toBe(plain[2]);
  });

  it('belong to their tenant', () => {
    const set = mustCompile(files);
    for (let n = 0; n < 3; n++) practitioners(set, '7^Who');
    const [own] = practitioners(set, '7^Who');
    const [other] = practitioners(set, '7^Who', { envelope: { tenant: 'other' } });
    expect(other?.id).not.toBe(own?.id);
  });

  it('are read anew when a time of theirs depends on the zone', () => {
    const set = mustCompile(files);
    const value = `7^Who${'^'.repeat(17)}20240101080000`;
    const starts = ['Europe/Berlin', 'Europe/Berlin', 'Europe/Berlin', 'America/New_York'].map(
      (timezone) => {
        const [one] = practitioners(set, value, { channel: { timezone } });
        const [first] = (one?.qualification ?? []) as { period: { start: string } }[];
        return first?.period.start;
      },
    );
    expect(starts[2]).toBe('2024-01-01T08:00:00+01:00');
    expect(starts[3]).toBe('2024-01-01T08:00:00-05:00');
  });

  it('are read anew for another zone when the message has noted its zone before', () => {
    const rows = `- { from: PID-7, to: birthDate, as: dateTime }\n${ROWS}`;
    const set = mustCompile(patientOf(rows, { 'datatypes/XCN-Practitioner.yaml': XCN }));
    const value = `7^Who${'^'.repeat(17)}20240101080000`;
    const starts = ['Europe/Berlin', 'Europe/Berlin', 'Europe/Berlin', 'America/New_York'].map(
      (timezone) => {
        const text = adt(`PID|||A||||20000101080000|||${value}`);
        const { resources } = run(set, text, { channel: { timezone } });
        const one = resources.find(({ resource }) => resource.resourceType === 'Practitioner');
        const list = one?.resource.qualification as { period: { start: string } }[] | undefined;
        return list?.[0]?.period.start;
      },
    );
    expect(starts[3]).toBe('2024-01-01T08:00:00-05:00');
  });

  it('are read with the delimiters of their message', () => {
    const set = mustCompile(files);
    for (let n = 0; n < 3; n++) practitioners(set, '7^Who');
    const [header = ''] = adt().split('\r');
    const { resources } = run(set, `${header.replaceAll('^', '#')}\rPID|||A|||||||7^Who\r`);
    const found = resources.find(({ resource }) => resource.resourceType === 'Practitioner');
    expect(found?.resource.identifier).toEqual([{ value: '7^Who' }]);
  });
});
