// The maps in mappings/ against their examples, and facts of the examples that were checked by
// hand: what the expected files hold was recorded first and then read, these sentences were not.
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { validateResource } from '../../src/fhir/validate.ts';
import { loadExamples, loadMappings } from '../../src/mapping/load.ts';
import { runExamples } from '../../src/pipeline/example.ts';

interface Item {
  mode: string;
  cleared: string[];
  initial?: string[];
  union?: string[];
  resource: { resourceType: string; id: string };
}

const dir = fileURLToPath(new URL('../../mappings', import.meta.url));
const { set, faults } = await loadMappings(dir);
const { results, without } = runExamples(set, await loadExamples(dir), validateResource);

function itemsOf(message: string, name: string): Item[] {
  const found = results.find(({ example }) => example.message === message && example.name === name);
  return JSON.parse(found?.actual ?? '[]') as Item[];
}

function only(items: Item[], type: string): Item[] {
  return items.filter(({ resource }) => resource.resourceType === type);
}

function one(message: string, name: string, type: string): Item {
  const [item] = only(itemsOf(message, name), type);
  if (item === undefined) throw new Error(`${message}/${name} makes no ${type}`);
  return item;
}

/** The value at a path such as `link.0.type`. */
function at(item: Item | undefined, path: string): unknown {
  let node: unknown = item?.resource;
  for (const name of path.split('.')) node = (node as Record<string, unknown> | undefined)?.[name];
  return node;
}

describe('the maps', () => {
  it('load without a fault', () => expect(faults).toEqual([]));
  it('have at least one example each', () => expect(without).toEqual([]));

  for (const { example, outcome, issues, line } of results) {
    it(`map ${example.message}/${example.name} as expected`, () => {
      const errors = issues.filter(({ severity }) => severity === 'error');
      expect({ outcome, line, errors }).toEqual({ outcome: 'passed', line: 0, errors: [] });
    });
  }
});

describe('ADT', () => {
  it('makes the resources of a full admission, one Practitioner per person', () => {
    const types = itemsOf('ADT_A01', 'a01-full').map(({ resource }) => resource.resourceType);
    const counts = Object.fromEntries(
      types.map((type) => [type, types.filter((t) => t === type).length]),
    );
    expect(counts).toEqual({
      Patient: 1,
      Account: 1,
      Encounter: 1,
      RelatedPerson: 2,
      AllergyIntolerance: 2,
      Condition: 2,
      Coverage: 1,
      Organization: 3,
      Practitioner: 5,
      Location: 3,
    });
  });

  it('gives one visit and one patient the same ids in A01, A03, A08, A13 and ORU', () => {
    const cases = [
      ['ADT_A01', 'a01-full'],
      ['ADT_A03', 'a03-discharge'],
      ['ADT_A01', 'a08-clears-values'],
      ['ADT_A01', 'a13-cancel-discharge'],
      ['ORU_R01', 'r01-all-value-types'],
    ] as const;
    for (const type of ['Patient', 'Encounter']) {
      const ids = cases.map(([message, name]) => one(message, name, type).resource.id);
      expect(new Set(ids).size).toBe(1);
    }
  });

  it('sets the state of the visit by the event', () => {
    const statusOf = (message: string, name: string) =>
      at(one(message, name, 'Encounter'), 'status');
    expect(statusOf('ADT_A01', 'a01-full')).toBe('in-progress');
    expect(statusOf('ADT_A01', 'a04-outpatient')).toBe('in-progress');
    expect(statusOf('ADT_A03', 'a03-discharge')).toBe('finished');
    expect(statusOf('ADT_A09', 'a11-cancel-admit')).toBe('cancelled');
    expect(statusOf('ADT_A01', 'a13-cancel-discharge')).toBe('in-progress');
  });

  it('lets only an event or a discharge time change the state of a known visit', () => {
    const initialOf = (message: string, name: string) => one(message, name, 'Encounter').initial;
    expect(initialOf('ADT_A01', 'a08-clears-values')).toEqual(['status']);
    expect(initialOf('ADT_A01', 'a04-outpatient')).toEqual(['status']);
    expect(initialOf('ADT_A01', 'a01-full')).toBeUndefined();
    expect(initialOf('ADT_A01', 'a13-cancel-discharge')).toBeUndefined();
    expect(initialOf('ADT_A03', 'a03-discharge')).toBeUndefined();
    expect(initialOf('ADT_A09', 'a11-cancel-admit')).toBeUndefined();
  });

  it('ends the period at discharge and opens it again when that is cancelled', () => {
    const ended = one('ADT_A03', 'a03-discharge', 'Encounter');
    expect(at(ended, 'period.end')).toBe('2025-06-16T14:00:00+02:00');
    const minimal = one('ADT_A03', 'a03-minimal', 'Encounter');
    expect(at(minimal, 'period.end')).toBe('2025-06-16T15:00:00+02:00');
    expect(one('ADT_A01', 'a13-cancel-discharge', 'Encounter').cleared).toEqual(['period.end']);
  });

  it('removes what "" empties and nothing else', () => {
    const patient = one('ADT_A01', 'a08-clears-values', 'Patient');
    expect(patient.mode).toBe('merge');
    expect(patient.cleared).toEqual([
      'extension(http://hl7.org/fhir/StructureDefinition/patient-religion)',
      'maritalStatus',
      'multipleBirthBoolean',
      'multipleBirthInteger',
      'telecom',
    ]);
    const encounter = one('ADT_A01', 'a08-clears-values', 'Encounter');
    expect(encounter.cleared).toEqual(['serviceType', 'type']);
  });

  it('links merged patients both ways, and keeps the old one', () => {
    const [survivor, merged] = only(itemsOf('ADT_A39', 'a40-merge'), 'Patient');
    expect(at(merged, 'active')).toBe(false);
    expect(at(merged, 'link')).toEqual([
      { other: { reference: `Patient/${survivor?.resource.id}` }, type: 'replaced-by' },
    ]);
    expect(at(survivor, 'link')).toEqual([
      { other: { reference: `Patient/${merged?.resource.id}` }, type: 'replaces' },
    ]);
    expect(at(survivor, 'active')).toBeUndefined();
  });

  it('reads ISO 8859-1', () => {
    const patient = one('ADT_A01', 'a01-latin1', 'Patient');
    expect(at(patient, 'name')).toEqual([{ family: 'ØSTERGÅRD', given: ['BJØRN', 'ÆGIR'] }]);
  });

  it('keeps the precision of dates and takes the zone of the channel', () => {
    const patient = one('ADT_A01', 'a01-no-time-zone', 'Patient');
    expect(at(patient, 'birthDate')).toBe('1988');
    const encounter = one('ADT_A01', 'a01-no-time-zone', 'Encounter');
    expect(at(encounter, 'period.start')).toBe('2025-06-12T10:05:00+02:00');
  });
});

describe('ORU', () => {
  it('never overwrites the patient and the visit of ADT', () => {
    const items = itemsOf('ORU_R01', 'r01-all-value-types');
    expect(only(items, 'Patient').map(({ mode }) => mode)).toEqual(['create-only']);
    expect(only(items, 'Encounter').map(({ mode }) => mode)).toEqual(['create-only']);
  });

  it('gives each value type its element', () => {
    const observations = only(itemsOf('ORU_R01', 'r01-all-value-types'), 'Observation');
    const values = observations.map(({ resource }) =>
      Object.keys(resource).find((key) => key.startsWith('value') || key === 'extension'),
    );
    expect(values.slice(1)).toEqual([
      'valueString',
      'valueString',
      'valueString',
      'valueString',
      'valueCodeableConcept',
      'valueCodeableConcept',
      'valueRatio',
      'valueQuantity',
      'valueRange',
      'valueDateTime',
      'valueTime',
      'valueDateTime',
      'extension',
      'extension',
      'valueRange',
    ]);
    expect(at(observations[0], 'valueQuantity.value')).toBe(5.4);
    expect(at(observations[8], 'valueQuantity.comparator')).toBe('<');
  });

  it('corrects the same observations that the first report made', () => {
    const first = only(itemsOf('ORU_R01', 'r01-all-value-types'), 'Observation');
    const again = only(itemsOf('ORU_R01', 'r01-corrections'), 'Observation');
    expect(again.slice(0, 3).map(({ resource }) => resource.id)).toEqual(
      first.slice(0, 3).map(({ resource }) => resource.id),
    );
    const statuses = again.map((item) => at(item, 'status'));
    const wanted = ['corrected', 'entered-in-error', 'entered-in-error', 'cancelled', 'cancelled'];
    expect(statuses).toEqual([...wanted, 'amended']);
    expect(again[5]?.cleared).toContain('interpretation');
  });

  it('tells equal tests apart by their sub-id, or else by their order', () => {
    const observations = only(itemsOf('ORU_R01', 'r01-sub-ids'), 'Observation');
    expect(new Set(observations.map(({ resource }) => resource.id)).size).toBe(6);
  });

  it('adds the results of a correction to those that the report has', () => {
    expect(one('ORU_R01', 'r01-corrections', 'DiagnosticReport').union).toEqual(['result']);
  });

  it('makes limits of a numeric reference range, and keeps its text', () => {
    const [glucose] = only(itemsOf('ORU_R01', 'r01-all-value-types'), 'Observation');
    expect(at(glucose, 'referenceRange.0')).toMatchObject({
      text: '3.9-6.1',
      low: { value: 3.9, unit: 'mmol/L' },
      high: { value: 6.1, unit: 'mmol/L' },
    });
  });

  it('makes components of a repeated value', () => {
    const [bacteria] = only(itemsOf('ORU_R01', 'r01-repeated-values'), 'Observation');
    const codes = [0, 1].map((n) =>
      at(bacteria, `component.${n}.valueCodeableConcept.coding.0.code`),
    );
    expect(codes).toEqual(['27268008', '85729005']);
    expect(at(bacteria, 'valueCodeableConcept')).toBeUndefined();
  });
});
