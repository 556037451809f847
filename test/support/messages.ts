// Made-up HL7v2 messages for the tests of the whole trip. Line ends are \n here, CR on the wire.

interface Visit {
  id?: string;
  pid?: string;
  family?: string;
  event?: string;
  visit?: string;
  rest?: string;
  discharged?: string;
}

let count = 0;

export function freshId(): string {
  count += 1;
  return `T${process.pid}-${count}`;
}

/** ADT^A01 unless another event is named: MSH EVN PID PV1 and what `rest` adds. */
export function adt(visit: Visit = {}): string {
  const { id = freshId(), pid = 'P1', family = 'Quillfeather', event = 'A01' } = visit;
  const number = visit.visit ?? `V-${pid}`;
  const pv1 = ['PV1', '1', 'I', 'W1^2^3', ...Array(15).fill(''), number, ...Array(24).fill('')];
  return [
    `MSH|^~\\&|ADT|HOSP|ARTERY|X|20260301083000+0100||ADT^${event}^ADT_A01|${id}|P|2.5.1`,
    `EVN|${event}|20260301082900+0100`,
    `PID|1||${pid}^^^HOSP&1.2.3.4&ISO^MR||${family}^Ottoline^M||19710203|F|||5 Mill Ln^^Tarn^^4711`,
    [...pv1, '20260301080000+0100', visit.discharged ?? ''].join('|'),
    ...(visit.rest ? [visit.rest] : []),
  ].join('\n');
}

interface Result {
  id?: string;
  pid?: string;
  filler?: string;
  value?: string;
  status?: string;
}

/** ORU^R01 with one numeric result. */
export function oru(result: Result = {}): string {
  const { id = freshId(), pid = 'P1', filler = 'F1', value = '5.9', status = 'F' } = result;
  const obr = `OBR|1|PL-${filler}|${filler}|24323-8^Panel^LN|||20260301084500+0100`;
  const obx = 'OBX|1|NM|2823-3^Potassium^LN|';
  return [
    `MSH|^~\\&|LAB|HOSP|ARTERY|X|20260301093000+0100||ORU^R01^ORU_R01|${id}|P|2.5.1`,
    `PID|1||${pid}^^^HOSP&1.2.3.4&ISO^MR||Quillfeather^Ottoline||19710203|F`,
    [obr, ...Array(16).fill(''), 'LAB', status].join('|'),
    `${obx}|${value}|mmol/L^mmol/L^UCUM|3.5-5.1|H|||${status}|||20260301092500+0100`,
  ].join('\n');
}
