// Events and metrics: what is logged, what is counted, and that no text of a message gets through.
import { describe, expect, it } from 'vitest';
import { createTelemetry, EVENTS, type EventName } from '../../src/telemetry/events.ts';
import { type FieldKind, fits, placesOf, WITHHELD } from '../../src/telemetry/fields.ts';
import { createLogger, silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';

const ID = '0198c2c4-0000-7000-8000-000000000001';

/** What stands in messages, and must never stand in a log. */
const PATIENT_TEXTS = [
  'EVERYWOMAN^EVE^E^III',
  'EVERYWOMAN',
  'Eve Everywoman',
  'MÜLLER',
  'P100919^^^GOODHEALTH&1.2.840.114398.1.100&ISO^MR',
  '444-33-3333',
  '153 FERNWOOD DR.',
  '(206)555-1212',
  'eve@example.org',
  'Specimen slightly haemolysed',
  'MSH|^~\\&|ADT1',
  '13.2 g/dL',
];

describe('events', () => {
  it('have no field that takes text of a message', () => {
    const kinds = new Set(Object.values(EVENTS).flatMap((event) => Object.values(event.fields)));
    const taking = [...kinds].flatMap((kind) =>
      PATIENT_TEXTS.filter((text) => fits(kind as FieldKind, text)).map(
        (text) => `${kind}: ${text}`,
      ),
    );
    // A code is capitals without blanks: a family name in capitals is told apart by its list.
    expect(taking).toEqual([]);
  });

  it('write nothing of a message when a caller passes it by mistake', () => {
    for (const name of Object.keys(EVENTS) as EventName[]) {
      for (const text of PATIENT_TEXTS) {
        const { lines, telemetry } = capture();
        const fields = Object.fromEntries(
          Object.keys(EVENTS[name].fields).map((key) => [key, text]),
        );
        telemetry.emit(name, fields as never);
        expect(lines.join(), name).not.toContain(text);
      }
    }
  });

  it('are JSON lines with their name, level and fields', () => {
    const { lines, telemetry } = capture();
    telemetry.emit('message.duplicate', { id: ID, channel: 'adt-inbound' });
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'info',
      event: 'message.duplicate',
      id: ID,
      channel: 'adt-inbound',
    });
  });

  it('count what they withhold', async () => {
    const { telemetry, lines } = capture();
    telemetry.emit('message.duplicate', { id: 'EVE', channel: 'adt-inbound' });
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ id: WITHHELD, channel: 'adt-inbound' });
    expect(await telemetry.metrics.text()).toContain('artery_withheld_fields_total 1');
  });

  it('have labels that are fields of theirs, and only channel and code', () => {
    for (const [name, event] of Object.entries(EVENTS)) {
      for (const label of event.labels) {
        expect(Object.keys(event.fields), name).toContain(label);
        expect(['channel', 'code'], name).toContain(label);
      }
    }
  });
});

describe('placesOf', () => {
  it('names class and places, never the message', () => {
    const places = placesOf(new TypeError('cannot read EVERYWOMAN of 153 FERNWOOD DR.'));
    expect(places).toMatch(/^TypeError /);
    expect(places).toMatch(/telemetry\/telemetry\.test\.ts:\d+/);
    expect(places).not.toContain('EVERYWOMAN');
    expect(fits('places', places)).toBe(true);
    expect(placesOf('EVERYWOMAN')).toBe('NotAnError');
  });
});

describe('events that a stranger can cause', () => {
  it('are all counted, and logged a bounded number of times a minute', async () => {
    let now = 0;
    const lines: string[] = [];
    const stream = { write: (line: string) => void lines.push(line) };
    const metrics = createMetrics();
    const telemetry = createTelemetry(createLogger({ level: 'debug', stream }), metrics, () => now);
    for (let n = 0; n < 5_000; n += 1) telemetry.emit('frame.noise', { channel: 'a', bytes: 1 });
    expect(lines).toHaveLength(120);
    now = 60_000;
    telemetry.emit('frame.noise', { channel: 'a', bytes: 1 });
    const told = lines.map((line) => JSON.parse(line));
    expect(told.at(-2)).toMatchObject({
      event: 'log.suppressed',
      name: 'frame.noise',
      count: 4_880,
    });
    expect(told.at(-1)).toMatchObject({ event: 'frame.noise' });
    expect(await metrics.text()).toContain('{event="frame.noise",channel="a",code=""} 5001');
  });
});

describe('metrics', () => {
  it('sum what the work thread counted with what this one did', async () => {
    const [main, work] = [createMetrics(), createMetrics()];
    const [here, there] = [
      createTelemetry(silentLogger(), main),
      createTelemetry(silentLogger(), work),
    ];
    here.emit('message.duplicate', { id: ID, channel: 'a' });
    there.emit('message.duplicate', { id: ID, channel: 'a' });
    there.emit('server.stopping', {});
    work.observeStage('map', 2);
    main.observeStage('map', 4);
    main.importSnapshot('work', structuredClone(await work.exportSnapshot()));
    main.importSnapshot('work', structuredClone(await work.exportSnapshot()));
    const text = await main.text();
    expect(text).toContain('artery_events_total{event="message.duplicate",channel="a",code=""} 2');
    expect(text).toContain('artery_events_total{event="server.stopping",channel="",code=""} 1');
    expect(text).toContain('artery_stage_seconds_count{stage="map"} 2');
    expect(text).toMatch(/artery_stage_seconds_sum\{stage="map"\} 0\.006/);
  });

  it('read a gauge when they are asked', async () => {
    const metrics = createMetrics();
    let waiting = 3;
    metrics.gauge('queue_waiting', () => waiting);
    waiting = 5;
    expect(await metrics.text()).toContain('artery_queue_waiting 5');
  });
});

function capture() {
  const lines: string[] = [];
  const logger = createLogger({
    level: 'debug',
    stream: { write: (line) => void lines.push(line) },
  });
  return { lines, telemetry: createTelemetry(logger, createMetrics()) };
}
