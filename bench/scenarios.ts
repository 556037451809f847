// The scenarios. Each gives rows of figures; those with `perEcho` are also told as a ratio to the
// bare echo of the same run, with the ratio that is aimed at.
import { setTimeout as sleep } from 'node:timers/promises';
import { type LoadResult, runLoad, type Server, startEcho, startServer } from './processes.ts';

export interface Row {
  scenario: string;
  /** msg/s, ms, MiB or commands, as `unit` says. */
  value: number;
  unit: string;
  /** Rate of the echo that this one is compared with. */
  echo?: number;
  /** Least rate, or greatest of anything else, that is aimed at. */
  aim?: number;
  aimRatio?: number;
  note?: string;
}

export interface Context {
  tools: string;
  seconds: number;
  soakMinutes: number;
}

export const CONNECTIONS = 32;
export const ADT = 'adt_a01.hl7';
const ORU = 'oru_r01.hl7';
/** More than any run sends: every message is of a patient not seen before. */
const ALL_NEW = 9_999_991;
export const WARMUP_NEW = 9_999_973;

export async function calibrate({ tools, seconds }: Context): Promise<Record<string, number>> {
  const echo = await startEcho();
  const shape = { port: echo.port, connections: CONNECTIONS, seconds, patients: 1_000 };
  const rates: Record<string, number> = {};
  for (const file of [ADT, ORU]) rates[file] = (await runLoad(tools, { ...shape, file })).rate;
  await echo.stop();
  return rates;
}

/** Sealed and durable, then acknowledged; nothing is processed meanwhile. */
export async function durableAccept(context: Context, echo: Record<string, number>) {
  const rows: Row[] = [];
  for (const [file, channel] of [
    [ADT, 'adt-inbound'],
    [ORU, 'lab-inbound'],
  ] as const) {
    const server = await startServer('receive,api');
    const { tools, seconds } = context;
    const shape = { connections: CONNECTIONS, seconds, patients: 1_000, file };
    const load = await runLoad(tools, { ...shape, port: server.ports[channel] ?? 0 });
    await server.stop();
    rows.push({
      scenario: `durable accept, ${file}, ${CONNECTIONS} connections`,
      ...{ value: load.rate, unit: 'msg/s', echo: echo[file] ?? Number.NaN },
      ...(file === ADT ? { aim: 8_000, aimRatio: 0.09 } : {}),
      note: `ACK p50 ${load.p50} ms, p99 ${load.p99} ms, refused ${load.refused}`,
    });
  }
  return rows;
}

interface Trip {
  file: string;
  channel: string;
  patients: number;
  count: number;
  aim?: number;
  aimRatio?: number;
}

/** From the first byte sent until the last message is processed, and HTTP reads meanwhile. */
export async function wholeTrip(context: Context, echo: Record<string, number>): Promise<Row[]> {
  const per = context.seconds;
  const trips: Trip[] = [
    {
      file: ADT,
      channel: 'adt-inbound',
      patients: 1_000,
      count: per * 2_500,
      aim: 1_500,
      aimRatio: 0.017,
    },
    { file: ADT, channel: 'adt-inbound', patients: ALL_NEW, count: per * 1_500 },
    {
      file: ORU,
      channel: 'lab-inbound',
      patients: 1_000,
      count: per * 1_000,
      aim: 600,
      aimRatio: 0.009,
    },
    { file: ORU, channel: 'lab-inbound', patients: ALL_NEW, count: per * 700 },
  ];
  const rows: Row[] = [];
  for (const trip of trips) rows.push(...(await oneTrip(context, trip, echo[trip.file] ?? 0)));
  return rows;
}

async function oneTrip({ tools }: Context, trip: Trip, echo: number): Promise<Row[]> {
  const server = await startServer('receive,work,api');
  const port = server.ports[trip.channel] ?? 0;
  const { file, patients } = trip;
  // The calibration is measured warm, and so is this: other patients first, not counted.
  const shape = { port, file, connections: CONNECTIONS, seconds: 600 };
  await runLoad(tools, { ...shape, patients: WARMUP_NEW, count: Math.ceil(trip.count / 5) });
  await drained(server);
  const reads = startReads(server, await firstPatient(server));
  const begun = performance.now();
  const load = await runLoad(tools, { ...shape, patients, count: trip.count });
  await drained(server);
  const seconds = (performance.now() - begun) / 1_000;
  const http = await reads.stop();
  const failed = await countSetAside(server);
  await server.stop();
  const whose = patients === ALL_NEW ? 'every patient new' : `${patients} patients`;
  const name = `${file}, ${whose}`;
  const note = `${trip.count} messages, refused ${load.refused}, set aside ${failed}`;
  const aims = trip.aim ? { aim: trip.aim, aimRatio: trip.aimRatio ?? 0 } : {};
  return [
    {
      scenario: `whole trip, ${name}`,
      value: trip.count / seconds,
      unit: 'msg/s',
      echo,
      note,
      ...aims,
    },
    {
      scenario: `  HTTP read p50 meanwhile`,
      value: http.p50,
      unit: 'ms',
      ...(trip.aim ? { aim: 2 } : {}),
    },
    { scenario: `  HTTP read p99 meanwhile`, value: http.p99, unit: 'ms' },
  ];
}

/** Asks seldom: to answer, the server adds up all its metrics. */
async function drained(server: Server): Promise<void> {
  while ((await server.waiting()) > 0) await sleep(200);
}

async function firstPatient(server: Server): Promise<string> {
  for (;;) {
    const bundle = await (await server.get('/fhir/R4/Patient?_count=1')).json();
    const id = (bundle as { entry?: { resource: { id: string } }[] }).entry?.[0]?.resource.id;
    if (id !== undefined) return `/fhir/R4/Patient/${id}`;
    await sleep(50);
  }
}

/** Reads one resource every 20 ms until stopped. */
function startReads(server: Server, path: string) {
  const times: number[] = [];
  let running = true;
  const loop = (async () => {
    while (running) {
      const begun = performance.now();
      const status = await server.read(path);
      if (status !== 200) throw new Error(`read answered ${status}`);
      times.push(performance.now() - begun);
      await sleep(20);
    }
  })();
  return {
    async stop() {
      running = false;
      await loop;
      times.sort((a, b) => a - b);
      const at = (share: number) => times[Math.floor(times.length * share)] ?? Number.NaN;
      return { p50: at(0.5), p99: at(0.99) };
    },
  };
}

async function countSetAside(server: Server): Promise<number> {
  const answer = await (await server.get('/admin/messages?state=set-aside&limit=1000')).json();
  return (answer as { messages: unknown[] }).messages.length;
}

/** Resident memory at a steady rate: after the first minute it must not grow. */
export async function soak({ tools, soakMinutes }: Context): Promise<Row[]> {
  const server = await startServer('receive,work,api');
  const port = server.ports['adt-inbound'] ?? 0;
  const seconds = soakMinutes * 60;
  const shape = { port, file: ADT, connections: CONNECTIONS, seconds, patients: 50_000 };
  const samples: number[] = [];
  const load: Promise<LoadResult> = runLoad(tools, { ...shape, ratePerS: 600 });
  let running = true;
  void load.finally(() => {
    running = false;
  });
  const reads = startReads(server, await firstPatient(server));
  while (running) {
    const text = await (await server.get('/metrics')).text();
    samples.push(Number(/^artery_resident_bytes (\S+)/m.exec(text)?.[1]) / 1024 / 1024);
    await sleep(2_000);
  }
  await load;
  const http = await reads.stop();
  await server.stop();
  const rows = ['first', 'second', 'third', 'fourth', 'last'].map((name, fifth): Row => {
    const some = samples.slice((samples.length * fifth) / 5, (samples.length * (fifth + 1)) / 5);
    const mean = some.reduce((sum, one) => sum + one, 0) / some.length;
    return {
      scenario: `memory, ${soakMinutes} min at 600 msg/s: ${name} fifth`,
      value: mean,
      unit: 'MiB',
    };
  });
  return [...rows, { scenario: '  HTTP read p50 meanwhile', value: http.p50, unit: 'ms', aim: 2 }];
}
