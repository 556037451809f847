// The language of `when`: what holds, and what is refused.
import { describe, expect, it } from 'vitest';
import { parseMessage, type Segment } from '../../src/hl7/message.ts';
import { parsePath } from '../../src/hl7/path.ts';
import { ABSENT } from '../../src/hl7/value.ts';
import { ConditionError, compileCondition, parseCondition } from '../../src/mapping/condition.ts';

const PID = 'PID|1||A~B~~C||""|12|x y|007';

function holds(condition: string): boolean {
  const segment = parseMessage(`MSH|^~\\&|\r${PID}\r`).first('PID') as Segment;
  const compiled = compileCondition<Segment>(parseCondition(condition), (text) => {
    const path = parsePath(text);
    return {
      one: (scope) => (path === undefined ? ABSENT : scope.at(path)),
      all: (scope) => (path === undefined ? [] : scope.field(path.field).repetitions),
    };
  });
  return compiled(segment);
}

describe('a condition', () => {
  it.each([
    ['PID-3 valued', true],
    ['PID-4 valued', false],
    ['PID-4 not valued', true],
    ['PID-5 valued', false],
    ['PID-99 not valued', true],
    ['PID-3 = "A"', true],
    ["PID-3 = 'A'", true],
    ['PID-3 = "a"', false],
    ['PID-3[1] = "B"', true],
    ['PID-3 != "A"', false],
    ['PID-4 != "A"', true],
    ['PID-4 = ""', true],
    ['PID-3 in ("B", "A")', true],
    ['PID-3 not in ("B", "A")', false],
    ['PID-4 not in ("B")', true],
    ['PID-6 > 11', true],
    ['PID-6 >= 12', true],
    ['PID-6 < 12', false],
    ['PID-6 <= 12.5', true],
    ['PID-8 = 7', true],
    ['PID-7 > 0', false],
    ['PID-7 = 0', false],
    ['PID-7 != 0', true],
    ['PID-4 < 5', false],
    ['count(PID-3) = 3', true],
    ['count(PID-4) = 0', true],
    ['length(PID-7) = 3', true],
    ['length(PID-4) = 0', true],
    ['not PID-3 valued', false],
    ['PID-3 valued and PID-4 valued', false],
    ['PID-3 valued or PID-4 valued', true],
    ['PID-3 valued or PID-4 valued and PID-4 valued', true],
    ['(PID-3 valued or PID-4 valued) and PID-4 valued', false],
    ['not (PID-3 valued and PID-4 valued)', true],
    ['PID-3 VALUED AND NOT PID-4 VALUED', true],
  ])('%s is %s', (condition, expected) => {
    expect(holds(condition)).toBe(expected);
  });

  it.each([
    ['', 'a path'],
    ['PID-3', 'valued, in, or a comparison'],
    ['PID-3 is valued', 'not part of a condition'],
    ['PID-3 = A', '"A" is not part'],
    ['PID-3 < "A"', 'a number after < or >'],
    ['PID-3 in ()', 'a quoted text'],
    ['PID-3 not = "A"', 'valued or in'],
    ['count(PID-3) valued', 'valued, in, or a comparison'],
    ['(PID-3 valued', '")"'],
    ['PID-3 valued PID-4 valued', 'and, or, or the end'],
    ['PID-3 valued; drop', 'not part of a condition'],
    [`${'('.repeat(50)}PID-3 valued${')'.repeat(50)}`, 'nested too deeply'],
    ['x'.repeat(3000), 'too long'],
  ])('refuses %s', (condition, reason) => {
    expect(() => parseCondition(condition)).toThrow(ConditionError);
    expect(() => parseCondition(condition)).toThrow(reason);
  });
});
