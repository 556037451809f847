// The simulated feed of `artery start --demo`: made-up patients are admitted, get results, change
// their address and go home, for as long as the server runs. Every name and value is invented.
import { connectMllp, type MllpClient } from '../source/mllp-client.ts';
import { makeRun, makeTemplate } from './feed.ts';
import { makeTally, sendOne, type Tally } from './mllp.ts';

export interface DemoOptions {
  adt: { host: string; port: number };
  lab: { host: string; port: number };
  /** Wait between two messages. */
  pauseMs: number;
  now(): number;
  signal: AbortSignal;
}

const FAMILIES = ['Birchwood', 'Calloway', 'Dunmore', 'Eastlake', 'Fairbrook', 'Greystone'];
const GIVEN = ['Avery', 'Blake', 'Casey', 'Devon', 'Ellis', 'Frankie', 'Gray', 'Harper'];
const STREETS = ['Example Road', 'Sample Street', 'Test Lane', 'Model Avenue'];
const TESTS = [
  { code: '718-7', name: 'Hemoglobin', unit: 'g/dL', low: 12, high: 16 },
  { code: '2345-7', name: 'Glucose', unit: 'mg/dL', low: 70, high: 105 },
  { code: '2951-2', name: 'Sodium', unit: 'mmol/L', low: 136, high: 145 },
  { code: '2160-0', name: 'Creatinine', unit: 'mg/dL', low: 0.6, high: 1.1 },
] as const;
const PATIENTS = 200;

/** Sends until `signal` is aborted or a connection ends; answers what was acknowledged. */
export async function runDemo(options: DemoOptions): Promise<Tally> {
  const tally = makeTally();
  const run = makeRun(options.now());
  const template = { run: `DEMO${run}`, patients: 1, newIds: true, cr: true };
  const adt = await connectMllp(options.adt);
  const lab = await connectMllp(options.lab);
  try {
    for (let sequence = 1; !options.signal.aborted; sequence++) {
      const stay = Math.floor((sequence - 1) / STAYS.length);
      const act = STAYS[(sequence - 1) % STAYS.length];
      if (act === undefined) break;
      const client: MllpClient = act.to === 'adt' ? adt : lab;
      const text = act.write(stay % PATIENTS, hl7Time(options.now()), `${run}-${stay}`);
      if (!(await sendOne(client, makeTemplate(text, template), sequence, tally))) break;
      await pause(options.pauseMs, options.signal);
    }
  } finally {
    await Promise.all([adt.close(), lab.close()]);
  }
  return tally;
}

interface Act {
  to: 'adt' | 'lab';
  write(number: number, time: string, visit: string): string;
}

/** One stay, in order. */
const STAYS: readonly Act[] = [
  { to: 'adt', write: (number, time, visit) => adtMessage('A01', number, time, visit) },
  { to: 'lab', write: labMessage },
  { to: 'adt', write: (number, time, visit) => adtMessage('A08', number, time, visit) },
  { to: 'lab', write: labMessage },
  { to: 'adt', write: (number, time, visit) => adtMessage('A03', number, time, visit) },
];

function adtMessage(event: string, number: number, time: string, visit: string): string {
  const structure = event === 'A03' ? 'ADT_A03' : 'ADT_A01';
  const discharged: Record<number, string> = event === 'A03' ? { 45: time } : {};
  return [
    `MSH|^~\\&|DEMO|DEMOHOSPITAL|ARTERY|ARTERY|${time}||ADT^${event}^${structure}|{{ID}}|P|2.5.1`,
    `EVN|${event}|${time}`,
    patientSegment(number, event === 'A01' ? 0 : 1),
    segment('PV1', { ...stayAt(number, visit), 44: time, ...discharged }),
  ].join('\r');
}

function labMessage(number: number, time: string, visit: string): string {
  const results = TESTS.map((test, index) => {
    const spread = (test.high - test.low) * 1.4;
    const part = ((number * 7 + index * 13) % 100) / 100;
    const value = (test.low * 0.9 + spread * part).toFixed(1);
    const flag = Number(value) > test.high ? 'H' : Number(value) < test.low ? 'L' : 'N';
    const code = `${test.code}^${test.name}^LN`;
    const unit = `${test.unit}^${test.unit}^UCUM`;
    const result = { 1: String(index + 1), 2: 'NM', 3: code, 5: value, 6: unit };
    const rest = { 7: `${test.low}-${test.high}`, 8: flag, 11: 'F', 14: time };
    return segment('OBX', { ...result, ...rest });
  });
  const order = `L${visit}-${time}`;
  return [
    `MSH|^~\\&|DEMOLAB|DEMOHOSPITAL|ARTERY|ARTERY|${time}||ORU^R01^ORU_R01|{{ID}}|P|2.5.1`,
    patientSegment(number, 0),
    segment('PV1', stayAt(number, visit)),
    `ORC|RE|${order}^DEMO|${order}^DEMOLAB`,
    segment('OBR', {
      ...{ 1: '1', 2: `${order}^DEMO`, 3: `${order}^DEMOLAB`, 4: '24323-8^Demo panel^LN' },
      ...{ 7: time, 22: time, 24: 'LAB', 25: 'F' },
    }),
    ...results,
  ].join('\r');
}

function stayAt(number: number, visit: string): Record<number, string> {
  return { 1: '1', 2: 'I', 3: `WARD${number % 5}^${number % 20}^1`, 19: visit };
}

/** Fields by their number in the standard. */
function segment(name: string, fields: Record<number, string>): string {
  const last = Math.max(...Object.keys(fields).map(Number));
  return [name, ...Array.from({ length: last }, (_, index) => fields[index + 1] ?? '')].join('|');
}

/** `move` changes the address, so that an update has something to update. */
function patientSegment(number: number, move: number): string {
  const family = FAMILIES[number % FAMILIES.length];
  const given = GIVEN[Math.floor(number / FAMILIES.length) % GIVEN.length];
  const street = `${(number % 90) + 1} ${STREETS[(number + move) % STREETS.length]}`;
  const born = `${1940 + (number % 70)}${pad((number % 12) + 1)}${pad((number % 28) + 1)}`;
  const sex = number % 2 === 0 ? 'F' : 'M';
  const id = `D${10_000 + number}^^^DEMOHOSPITAL^MR`;
  return `PID|1||${id}||${family}^${given}||${born}|${sex}|||${street}^^Sampleton^^00000`;
}

/** HL7 DTM in UTC with its offset. */
function hl7Time(now: number): string {
  return `${new Date(now).toISOString().replace(/[-:T]/g, '').slice(0, 14)}+0000`;
}

function pad(value: number): string {
  return String(value).padStart(2, '0');
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
}
