// The difference of two messages, field by field.
import { expect, it } from 'vitest';
import { diffMessages } from '../../src/hl7/diff.ts';

it.each([
  ['MSH|^~\\&|A|B\rPID|1||7', 'MSH|^~\\&|A|B\nPID|1||7\n', []],
  ['MSH|^~\\&|A|B', 'MSH|^~\\&|A|C', [{ at: 'MSH-4', before: 'B', after: 'C' }]],
  ['MSH|^~\\&|A\rPID|1', 'MSH|^~\\&|A\rPID|1||7', [{ at: 'PID-3', before: '', after: '7' }]],
  [
    'MSH|^~\\&|A\rOBX|1|x\rOBX|2|y',
    'MSH|^~\\&|A\rOBX|1|x\rOBX|2|z',
    [{ at: 'OBX[2]-2', before: 'y', after: 'z' }],
  ],
  ['MSH#^~\\&#A', 'MSH#^~\\&#A\rNK1#1', [{ at: 'NK1', before: '', after: 'NK1|1' }]],
])('of %j and %j is %j', (before, after, differences) => {
  expect(diffMessages(before, after)).toEqual(differences);
});
