// The grammar of message structures, and the grouping of segments by it.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Group } from '../../src/hl7/grouping.ts';
import { groupLocation, groupSegments, selectGroups } from '../../src/hl7/grouping.ts';
import { parseMessage } from '../../src/hl7/message.ts';
import { compileStructure } from '../../src/hl7/structure.ts';

const ORU = compileStructure(`
  MSH [{SFT}]
  {PATIENT_RESULT:
    [PATIENT: PID [PD1] [{NTE}] [{NK1}] [VISIT: PV1 [PV2]]]
    {ORDER_OBSERVATION:
      [ORC] OBR [{NTE}] [{TIMING_QTY: TQ1 [{TQ2}]}] [CTD] [{OBSERVATION: OBX [{NTE}]}]
      [{FT1}] [{CTI}] [{SPECIMEN: SPM [{OBX}]}]}}
  [DSC]`);
const ADT = compileStructure(`
  MSH [{SFT}] EVN PID [PD1] [{ROL}] [{NK1}] PV1 [PV2] [{DB1}] [{OBX}] [{AL1}] [{DG1}] [DRG]
  [{PROCEDURE: PR1 [{ROL}]}] [{GT1}] [{INSURANCE: IN1 [IN2] [{IN3}]}] [ACC] [UB1] [UB2] [PDA]`);

/** `PID` or `NTE2` for the second NTE: every segment has its own text. */
function message(names: string) {
  const lines = names.split(' ').map((name, index) => `${name}|${index}`);
  return parseMessage(['MSH|^~\\&|A', ...lines].join('\r'));
}

/** `MSH G(PID H(PV1))`: what landed where. */
function show(group: Group): string {
  const segments = [...group.segments].flatMap(([name, list]) => list.map(() => name));
  const groups = [...group.groups.values()].flat().map((g) => `${g.name}(${show(g)})`);
  return [...segments, ...groups].join(' ');
}

function check(structure: typeof ORU, names: string) {
  const { root, issues } = groupSegments(structure, message(names));
  return { tree: show(root), issues: issues.map((issue) => `${issue.severity} ${issue.at}`) };
}

describe('grouping', () => {
  it.each([
    [
      'PID PV1 OBR OBX OBX',
      'MSH PATIENT_RESULT(PATIENT(PID VISIT(PV1)) ' +
        'ORDER_OBSERVATION(OBR OBSERVATION(OBX) OBSERVATION(OBX)))',
      [],
    ],
    [
      'PID NTE ORC OBR NTE OBX NTE NTE OBX OBR OBX',
      'MSH PATIENT_RESULT(PATIENT(PID NTE) ' +
        'ORDER_OBSERVATION(ORC OBR NTE OBSERVATION(OBX NTE NTE) OBSERVATION(OBX)) ' +
        'ORDER_OBSERVATION(OBR OBSERVATION(OBX)))',
      [],
    ],
    [
      'OBR OBX SPM OBX SPM PID OBR',
      'MSH PATIENT_RESULT(ORDER_OBSERVATION' +
        '(OBR OBSERVATION(OBX) SPECIMEN(SPM OBX) SPECIMEN(SPM))) ' +
        'PATIENT_RESULT(PATIENT(PID) ORDER_OBSERVATION(OBR))',
      [],
    ],
    // OBX without OBR, and an OBR missing after ORC.
    [
      'PID OBX',
      'MSH PATIENT_RESULT(PATIENT(PID) ORDER_OBSERVATION(OBSERVATION(OBX)))',
      ['error OBR'],
    ],
    [
      'PID ORC OBX ORC OBR',
      'MSH PATIENT_RESULT(PATIENT(PID) ' +
        'ORDER_OBSERVATION(ORC OBSERVATION(OBX)) ORDER_OBSERVATION(ORC OBR))',
      ['error OBR'],
    ],
    // Local and unknown segments stay where they stand.
    [
      'PID ZPI OBR ZOB OBX XYZ DSC',
      'MSH DSC PATIENT_RESULT(PATIENT(PID ZPI) ORDER_OBSERVATION(OBR ZOB OBSERVATION(OBX XYZ)))',
      ['information ZPI', 'information ZOB', 'warning XYZ'],
    ],
    ['DSC', 'MSH DSC', ['error PATIENT_RESULT']],
  ])('ORU %s', (names, tree, issues) => {
    expect(check(ORU, names)).toEqual({ tree, issues });
  });

  it.each([
    ['EVN PID PV1 AL1 AL1 DG1', 'MSH EVN PID PV1 AL1 AL1 DG1', []],
    ['EVN PID PV1 DG1 AL1', 'MSH EVN PID PV1 DG1 AL1', ['warning AL1']],
    ['EVN PV1 PID', 'MSH EVN PV1 PID', ['warning PID']],
    ['EVN PID PID PV1', 'MSH EVN PID PID PV1', ['warning PID[1]']],
    ['PID PV1', 'MSH PID PV1', ['error EVN']],
    ['EVN PID', 'MSH EVN PID', ['error PV1']],
    [
      'EVN PID ROL PV1 PR1 ROL IN1 IN2 IN1',
      'MSH EVN PID ROL PV1 PROCEDURE(PR1 ROL) INSURANCE(IN1 IN2) INSURANCE(IN1)',
      [],
    ],
  ])('ADT %s', (names, tree, issues) => {
    expect(check(ADT, names)).toEqual({ tree, issues });
  });

  it('finds groups by a path of names and tells where they stand', () => {
    const { root } = groupSegments(ORU, message('PID OBR OBX OBR OBX OBX'));
    const found = selectGroups(root, ['PATIENT_RESULT', 'ORDER_OBSERVATION', 'OBSERVATION']);
    expect(found.map(groupLocation)).toEqual([
      'PATIENT_RESULT.ORDER_OBSERVATION.OBSERVATION',
      'PATIENT_RESULT.ORDER_OBSERVATION[1].OBSERVATION',
      'PATIENT_RESULT.ORDER_OBSERVATION[1].OBSERVATION[1]',
    ]);
    expect(found[0]?.segments.get('OBX')?.[0]?.text(1)).toBe('2');
  });

  it('places every segment exactly once, whatever the order', () => {
    const names = fc.constantFrom(
      ...[...ORU.all, ...ADT.all].filter((n) => n !== 'MSH'),
      'ZZZ',
      'ABC',
    );
    fc.assert(
      fc.property(
        fc.array(names, { maxLength: 40 }),
        fc.constantFrom(ORU, ADT),
        (list, structure) => {
          const parsed = message(list.join(' ') || 'NTE');
          const { root } = groupSegments(structure, parsed);
          const placed: unknown[] = [];
          const walk = (group: Group) => {
            placed.push(...[...group.segments.values()].flat());
            for (const inner of [...group.groups.values()].flat()) walk(inner);
          };
          walk(root);
          expect(placed.length).toBe(parsed.segments.length);
          expect(new Set(placed)).toEqual(new Set(parsed.segments));
        },
      ),
    );
  });

  it('takes a choice of segments', () => {
    const structure = compileStructure('MSH {ORDER: ORC <OBR|RQD> [NTE]}');
    expect(check(structure, 'ORC RQD NTE ORC OBR ORC')).toEqual({
      tree: 'MSH ORDER(ORC RQD NTE) ORDER(ORC OBR) ORDER(ORC)',
      issues: ['error OBR|RQD'],
    });
  });
});

describe('a faulty grammar', () => {
  it.each([
    ['', 1, 'a segment is missing'],
    ['MSH [PID', 9, '"]" is missing'],
    ['MSH [PID}', 9, '"}" is no segment'],
    ['MSH [PID PV1]', 5, 'a group of several parts needs a name'],
    ['MSH PIDX', 5, '"PIDX" is no segment'],
    ['MSH {a: PID}', 6, '"a" is no group name'],
    ['MSH <PID PV1>', 10, '"|" or ">" is missing'],
    ['MSH [X: ]', 9, 'a segment is missing'],
    ['MSH <PID', 9, 'it ends too early'],
    [`MSH ${'['.repeat(30)}`, 25, 'it is nested too deeply'],
  ])('%j is refused with its position', (text, position, what) => {
    expect(() => compileStructure(text)).toThrowError(
      `Message structure, position ${position}: ${what}.`,
    );
  });
});
