// The account of a message: every leaf has one fate, whatever the message and the rows.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leafLocation, visitLeaves } from '../../src/hl7/leaves.ts';
import { parseMessage } from '../../src/hl7/message.ts';
import { reportUnmapped } from '../../src/mapping/account.ts';
import { adt, type Files, mustCompile, patientOf, run } from './build.ts';

const MORE: Files = {
  'datatypes/CX.yaml': `
datatype: CX
yields: Identifier
rows:
  - { from: CX.1, to: value }
  - { from: CX.4, to: system, using: HD }
  - { from: CX.5, ignore: kind }
`,
  'datatypes/HD.yaml': `
datatype: HD
yields: uri
rows: [{ from: HD.2, to: ., when: HD.2 valued }, { from: HD.1, to: . }]
`,
  'datatypes/XCN.yaml': `
datatype: XCN
yields: Practitioner
resource: { key: [[XCN.1]], display: [XCN.2] }
rows: [{ from: XCN.1, to: "identifier[0].value" }, { from: XCN.2, to: family }]
`,
  'tables/SEX.yaml': 'codes: { F: female, X: { ignore: no counterpart } }',
};
const ROWS = `
- { from: PID-1, ignore: position }
- { from: PID-2, to: single }
- { from: PID-3, to: "identifier[]", using: CX }
- { from: PID-4, to: first, when: PID-1 valued }
- { from: PID-4, to: first }
- { from: PID-5, to: birthDate, as: date }
- { from: PID-6, to: gender, table: SEX }
- { from: PID-7, to: "gp[]", using: XCN }
- { each: PID-8, to: "x[]", rows: [{ from: PID-8.2, to: y }, { to: z, value: 1 }] }
- { by: PID-9, from: PID-10, cases: { A: { to: a }, B: { ignore: b } } }
- { from: PID-11, to: joined, join: " " }
`;
const set = mustCompile(patientOf(ROWS, MORE));

const text = fc.constantFrom('', '', 'A', 'B', 'F', 'X', '2024', '""', 'a\\T\\b');
const component = fc.array(text, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('&'));
const repetition = fc.array(component, { minLength: 1, maxLength: 5 }).map((all) => all.join('^'));
const field = fc.array(repetition, { minLength: 1, maxLength: 3 }).map((all) => all.join('~'));
const pid = fc.array(field, { minLength: 1, maxLength: 13 }).map((all) => `PID|${all.join('|')}`);

function accountsOf(message: string) {
  return run(set, message, { account: true }).accounts;
}

describe('the account', () => {
  it('gives every leaf exactly one fate, in the order of the message', () => {
    const seed = Date.now() % 1_000_000;
    fc.assert(
      fc.property(fc.array(pid, { minLength: 1, maxLength: 2 }), (segments) => {
        const message = adt(...segments, 'ZZZ|1|a^b');
        const places: string[] = [];
        visitLeaves(parseMessage(message), (leaf) => places.push(leafLocation(leaf)));
        const accounts = accountsOf(message);
        expect(accounts.map(({ from }) => from)).toEqual(places);
        for (const { fate, to } of accounts) expect(to === '').toBe(fate === 'unmapped');
      }),
      { seed, numRuns: 300 },
    );
  });

  it('changes nothing in the resources', () => {
    const seed = Date.now() % 1_000_000;
    fc.assert(
      fc.property(pid, (segment) => {
        const message = adt(segment);
        const [without, kept] = [false, true].map((account) => run(set, message, { account }));
        expect(JSON.stringify(kept?.resources)).toBe(JSON.stringify(without?.resources));
      }),
      { seed, numRuns: 200 },
    );
  });

  it.each([
    ['PID|1||k', 'PID-1', 'ignored', 'position'],
    ['PID||s~t|k', 'PID-2', 'mapped', 'Patient.single'],
    ['PID||s~t|k', 'PID-2[1]', 'unmapped', ''],
    ['PID||s^t|k', 'PID-2.2', 'unmapped', ''],
    ['PID|||k^^^NS&1.2&ISO^MR', 'PID-3.1', 'mapped', 'Patient.identifier.value'],
    ['PID|||k^^^NS&1.2&ISO^MR', 'PID-3.4.2', 'mapped', 'Patient.identifier.system'],
    ['PID|||k^^^NS&1.2&ISO^MR', 'PID-3.4.1', 'unmapped', ''],
    ['PID|||k^^^NS&1.2&ISO^MR', 'PID-3.5', 'ignored', 'kind'],
    ['PID|||k||20240230', 'PID-5', 'unmapped', ''],
    ['PID|||k|||F', 'PID-6', 'mapped', 'Patient.gender'],
    ['PID|||k|||X', 'PID-6', 'ignored', 'no counterpart'],
    ['PID|||k|||Q', 'PID-6', 'unmapped', ''],
    ['PID|||k|||""', 'PID-6', 'mapped', 'Patient.gender (removed)'],
    ['PID|||k||||7^Doe', 'PID-7.2', 'mapped', 'Practitioner.family'],
    ['PID|||k||||^Doe', 'PID-7.2', 'unmapped', ''],
    ['PID|||k|||||a^b', 'PID-8.1', 'unmapped', ''],
    ['PID|||k|||||a^b', 'PID-8.2', 'mapped', 'Patient.x.y'],
    ['PID|||k||||||A|v', 'PID-9', 'mapped', 'Patient (choice)'],
    ['PID|||k||||||B|v', 'PID-10', 'ignored', 'b'],
    ['PID|||k||||||C|v', 'PID-10', 'unmapped', ''],
    ['PID|||k||||||||a~b', 'PID-11[1]', 'mapped', 'Patient.joined'],
  ])('of %s says that %s is %s', (segment, from, fate, to) => {
    const found = accountsOf(adt(segment)).find((account) => account.from === from);
    expect(found).toEqual({ from, fate, to });
  });

  it('covers the envelope and is not kept unless asked for', () => {
    const unmapped = accountsOf(adt('PID|||k')).filter(({ fate }) => fate === 'unmapped');
    expect(unmapped.map(({ from }) => from)).toEqual(['MSH-3', 'MSH-4']);
    expect(run(set, adt('PID|||k')).accounts).toEqual([]);
  });

  it('reports unmapped leaves once per segment and field', () => {
    const accounts = accountsOf(adt('PID|||k|||||a^b~c|||||v&w^x', 'ZZZ|1', 'ZZZ|2'));
    expect(reportUnmapped(accounts).map(({ at }) => at)).toEqual([
      'MSH-3',
      'MSH-4',
      'PID-8',
      'PID-13',
      'ZZZ-1',
    ]);
  });
});
