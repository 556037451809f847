// Odd HL7 v2 messages of real feeds: the rest of the message goes on, and each oddity is told with
// its place. Inputs are small and made up.
import { describe, expect, it } from 'vitest';
import { validateResource } from '../../src/fhir/validate.ts';
import { loadMappings } from '../../src/mapping/load.ts';
import type { PipelineOutput } from '../../src/model/pipeline.ts';
import { runPipeline } from '../../src/pipeline/run.ts';
import { CHANNEL, ENVELOPE } from '../mapping/build.ts';

const { set } = await loadMappings('mappings');

interface Parts {
  msh?: string;
  msh7?: string;
  msh12?: string;
  evn2?: string;
  pid3?: string;
  name?: string;
  born?: string;
  status?: string;
  admitted?: string;
  end?: string;
}

function adt(parts: Parts = {}): string {
  const { msh7 = '20240101120000+0100', msh12 = '2.5.1', evn2 = '20240101120000' } = parts;
  const { pid3 = 'C1^^^HOSP^MR', name = 'Testo^Anna', born = '19620320', end = '' } = parts;
  const pv1 = ['PV1', '1', 'I', 'W1^1^1', ...Array(15).fill(''), 'VC1^^^HOSP^VN'];
  return [
    parts.msh ?? `MSH|^~\\&|SND|FAC|RCV|HOSP|${msh7}||ADT^A01^ADT_A01|c1|P|${msh12}`,
    `EVN|A01|${evn2}`,
    `PID|1||${pid3}||${name}||${born}|F||||||||${parts.status ?? ''}`,
    [...pv1, ...Array(24).fill(''), parts.admitted ?? ''].join('|'),
    end,
  ].join('\r');
}

function oru(obx5: string, obx14 = '', type = 'TX', more = ''): string {
  return [
    'MSH|^~\\&|SND|FAC|RCV|HOSP|20240101120000+0100||ORU^R01^ORU_R01|c2|P|2.5.1',
    'PID|1||C1^^^HOSP^MR||Testo^Anna||19620320|F',
    'OBR|1|PC1|FC1|24331-1^Panel^LN|||20240101110000+0100|||||||||||||||20240101120000+0100||LAB|F',
    `OBX|1|${type}|1^Note^L||${obx5}||||||F|||${obx14}`,
    more,
  ].join('\r');
}

function process(text: string): PipelineOutput {
  return runPipeline(
    { raw: Buffer.from(text, 'utf8'), envelope: ENVELOPE, channel: CHANNEL },
    { mappings: set, validateResource, account: true },
  );
}

function find(output: PipelineOutput, type: string): Record<string, unknown> | undefined {
  return output.resources.find(({ resource }) => resource.resourceType === type)?.resource;
}

function errors(output: PipelineOutput) {
  return output.issues.filter(({ severity }) => severity === 'error');
}

function warned(output: PipelineOutput): string[] {
  return output.issues.filter(({ severity }) => severity === 'warning').map(({ at }) => at);
}

describe('control characters', () => {
  it.each([
    ['an escaped form feed', 'page 1\\X0C\\page 2', 'page 1\npage 2'],
    ['a form feed', 'page 1\x0cpage 2', 'page 1\npage 2'],
    ['NEL', 'page 1\x85page 2', 'page 1\npage 2'],
    ['NUL', 'a\0b', 'a\ufffdb'],
    ['an escaped NUL beside a delimiter', 'a\\X00\\\\T\\\\E\\', 'a\ufffd&\\'],
    ['C1', 'a\x9bb', 'a\ufffdb'],
    ['DEL', 'a\x7fb', 'a\ufffdb'],
    ['U+FFFE', 'a\ufffeb', 'a\ufffdb'],
    ['escaped U+FFFF', 'a\\XEFBFBF\\b', 'a\ufffdb'],
    ['an escaped surrogate, which is three other characters', 'a\\XEDA080\\b', 'aí\u00a0\ufffdb'],
  ])('%s of a text result is replaced and told', (_, text, expected) => {
    const output = process(oru(text));
    expect(errors(output)).toEqual([]);
    expect(find(output, 'Observation')?.valueString).toBe(expected);
    expect(warned(output)).toContain('OBX-5');
  });

  it('leaves what FHIR allows, and says nothing', () => {
    const output = process(oru('a\tb\\X0D0A\\c\\.br\\d'));
    expect(find(output, 'Observation')?.valueString).toBe('a\tb\r\nc\nd');
    expect(warned(output)).toEqual([]);
  });

  it('is replaced in a note and in the right one of several', () => {
    const output = process(oru('x', '', 'TX', 'NTE|1||fine\rNTE|2||a\x0cb'));
    expect(errors(output)).toEqual([]);
    expect(warned(output)).toEqual(['NTE[1]-3']);
    expect(JSON.stringify(find(output, 'Observation'))).toContain('a\\nb');
  });

  it.each([
    ['NUL', 'Te\0sto^Anna', 'Te\ufffdsto'],
    ['a form feed', 'Te\x0csto^Anna', 'Te\ufffdsto'],
    ['an escape', 'Te\\X01\\sto^Anna', 'Te\ufffdsto'],
  ])('%s in a name never joins what was apart', (_, name, family) => {
    const output = process(adt({ name }));
    expect(errors(output)).toEqual([]);
    expect(find(output, 'Patient')?.name).toMatchObject([{ family }]);
    expect(warned(output)).toContain('PID-5.1');
  });

  it.each(['C\x001', 'C1\0', 'C\\X0C\\1', 'C\x851'])('in an identifier %j refuses', (id) => {
    const output = process(adt({ pid3: `${id}^^^HOSP^MR` }));
    expect(errors(output).map(({ at }) => at)).toContain('PID');
    expect(output.resources).toEqual([]);
  });

  it('in a code leaves the code out, in one that identifies refuses', () => {
    const output = process(adt({ status: 'M\x00^Married' }));
    expect(errors(output)).toEqual([]);
    const status = find(output, 'Patient')?.maritalStatus;
    expect(JSON.stringify(status ?? {})).not.toContain('"code"');
    expect(warned(output)).toContain('PID-16.1');
    const identifying = process(oru('x').replace('|1^Note', '|1\x01^Note'));
    expect(errors(identifying).map(({ at }) => at)).toEqual(['OBX']);
  });
});

const IMPOSSIBLE = [
  '20240101120000+2400',
  '20240101120000+1500',
  '20240101120000+1401',
  '20240101120000-1500',
  '20240101120000+0060',
  '202401012560',
  '20240101240000',
  '20240101126000',
  '20240101120061',
  '20260230',
  '20261301',
  '20260001',
  '20260100',
  '00000101',
  '20240101120000.',
  '20240101120000.12345678901',
  '24:00',
  '2024010',
];

describe('times that cannot be', () => {
  it.each(IMPOSSIBLE)('%s is left out with a warning wherever it stands', (time) => {
    const observed = process(oru('5.0', time, 'NM'));
    expect(errors(observed)).toEqual([]);
    expect(warned(observed)).toContain('OBX-14');
    expect(find(observed, 'Observation')).toMatchObject({ valueQuantity: { value: 5 } });
    const admitted = process(adt({ evn2: time, admitted: time, msh7: time }));
    expect(errors(admitted)).toEqual([]);
    expect(warned(admitted)).toEqual(expect.arrayContaining(['PV1-44', 'EVN-2']));
    expect(find(admitted, 'Encounter')?.period).toBeUndefined();
    const born = process(adt({ born: time }));
    expect(errors(born)).toEqual([]);
    expect(find(born, 'Patient')).not.toHaveProperty('birthDate');
    expect(find(born, 'Patient')).not.toHaveProperty('_birthDate');
    expect(warned(born)).toContain('PID-7');
  });

  it.each(['20240101120000+1400', '20240101120000-1359', '20240229', '2024'])(
    '%s is taken',
    (time) => {
      const output = process(oru('5.0', time, 'NM'));
      expect(warned(output)).toEqual([]);
    },
  );

  it('a date with an offset is a date and no time of birth', () => {
    const output = process(adt({ born: '19620320+0100' }));
    expect(errors(output)).toEqual([]);
    expect(find(output, 'Patient')).toMatchObject({ birthDate: '1962-03-20' });
    expect(find(output, 'Patient')).not.toHaveProperty('_birthDate');
    const noted = output.issues.filter(({ at }) => at === 'PID-7');
    expect(noted).toMatchObject([{ severity: 'information', code: 'value' }]);
  });
});

describe('the header', () => {
  it.each([
    ['MSH-9', 'MSH|^~\\&|S|F|R|H|20240101||ADT ^ A01^ADT_A01|c|P|2.5.1'],
    ['MSH-12', 'MSH|^~\\&|S|F|R|H|20240101||ADT^A01^ADT_A01|c|P|2.3 '],
    ['MSH-12', 'MSH|^~\\&|S|F|R|H|20240101||ADT^A01^ADT_A01|c|P|V2.3'],
    ['MSH-11', 'MSH|^~\\&|S|F|R|H|20240101||ADT^A01^ADT_A01|c| P|2.3'],
    ['MSH-18', 'MSH|^~\\&|S|F|R|H|20240101||ADT^A01^ADT_A01|c|P|2.3||||||UNICODE UTF-8 '],
  ])('with an odd %s is read, and told', (at, msh) => {
    const output = process(adt({ msh }));
    expect(errors(output)).toEqual([]);
    expect(warned(output)).toEqual([at]);
  });

  it('says nothing of a country behind the version, or of a charset of two words', () => {
    const msh = 'MSH|^~\\&|S|F|R|H|20240101||ADT^A01^ADT_A01|c|P|2.5.1^USA||||||UNICODE UTF-8';
    expect(warned(process(adt({ msh })))).toEqual([]);
  });
});

describe('what follows the last segment', () => {
  it.each(['', ' ', '\r\r', '\n', ' \r\n\t\r'])('blanks %j are nothing', (end) => {
    const output = process(adt({ end }));
    expect([...errors(output), ...warned(output)]).toEqual([]);
  });

  it.each(['END OF MESSAGE', '-- \rsent by X', '.', '\x1a'])(
    'text %j is kept, told and not mapped',
    (end) => {
      const output = process(adt({ end }));
      expect(errors(output)).toEqual([]);
      expect(warned(output)).toContain('line 5');
      expect(find(output, 'Patient')).toBeDefined();
    },
  );

  it('the rest of a field that was cut in two is no such text', () => {
    const output = process(oru('page 1\rpage 2'));
    expect(errors(output)).toHaveLength(1);
    expect(output.resources).toEqual([]);
  });
});

const MSH = 'MSH|^~\\&|S|F|R|H|20240101||ADT^A01^ADT_A01|c|P|2.5.1';

describe('further odd forms', () => {
  it.each([
    ['a BOM', `\ufeff${adt()}`],
    ['blanks before MSH', `  \t${adt()}`],
    ['LF ends', adt().replaceAll('\r', '\n')],
    ['CRLF ends', adt().replaceAll('\r', '\r\n')],
    ['blank lines between', adt().replaceAll('\r', '\r\r')],
    ['a fifth delimiter', adt().replace('^~\\&|', '^~\\&#|')],
    ['own delimiters', adt().replaceAll('|', '!').replaceAll('^', '*')],
    ['an empty segment', adt().replace('\rPV1', '\rPD1\rPV1')],
    ['a segment of lower case', adt().replace('\rPV1', '\rpv1')],
    ['a very long field of a local segment', adt({ end: `ZZ1|${'x'.repeat(1_000_000)}` })],
    ['an unknown charset', adt({ msh: `${MSH}||||||KLINGON` })],
  ])('%s does not hold the rest back', (_, text) => {
    const output = process(text);
    expect(errors(output)).toEqual([]);
    expect(find(output, 'Patient')).toMatchObject({ birthDate: '1962-03-20' });
    expect(find(output, 'Encounter')).toBeDefined();
  });

  it.each([
    ['a second MSH', adt({ end: MSH })],
    ['delimiters that are equal', adt().replace('^~\\&|', '^^\\&|')],
    ['a letter as a delimiter', adt().replace('^~\\&|', '^A\\&|')],
    ['a segment name of two characters', adt().replace('\rPV1', '\rPV|1\rPV1')],
    ['a segment name of four characters', adt().replace('\rPV1', '\rPIDX|1\rPV1')],
  ])('%s is an error with its place, and nothing is applied', (_, text) => {
    const output = process(text);
    expect(errors(output).every(({ at }) => at !== '')).toBe(true);
    expect(errors(output).length).toBeGreaterThan(0);
    expect(output.resources).toEqual([]);
  });
});
