// Promise 8: no clear value of a patient in any file of the store, wherever it went in.
import { expect, it } from 'vitest';
import { parseSearch } from '../../src/fhir/search.ts';
import { acceptMessages } from '../../src/record/accept.ts';
import { checkpointAudit } from '../../src/record/audit.ts';
import { nextInbox, setAside } from '../../src/record/message.ts';
import { readResource } from '../../src/record/read.ts';
import { replayMessage } from '../../src/record/replay.ts';
import { searchResources } from '../../src/record/search.ts';
import { updateResource } from '../../src/record/update.ts';
import { writeMapped } from '../../src/record/write.ts';
import { arrival, bytesBelow, CLERK, mapped, openBench, output, receive, TENANT } from './open.ts';

const SECRETS = ['Rumpelstilz', 'PID998877', '1931-02-27', '19310227', 'Spinnradgasse', 'CTRL5566'];

it('leaves no name, identifier, birth date, address or control id in any file', async () => {
  const { record, folder } = await openBench();
  const [family = '', value = '', birthDate = '', raw = '', street = '', controlId = ''] = SECRETS;
  const resource = {
    resourceType: 'Patient',
    id: 'p1',
    identifier: [{ system: 'urn:oid:1.2', value }],
    name: [{ family }],
    birthDate,
    address: [{ line: [street] }],
  };
  const bytes = `MSH|^~\\&|A|B|||||${controlId}\rPID|||${value}||${family}||${raw}|||${street}\r`;
  const issue = { severity: 'error', code: 'value', at: 'PID-7', text: 'Not a date.' } as const;
  const envelope = { controlId, subject: `urn:oid:1.2|${value}`, orderingKey: value };
  const opened = await receive(record, arrival(bytes, envelope));
  await writeMapped(record, opened, () => output(mapped(resource, { compartment: 'p1' })), 1);
  await acceptMessages(record, CLERK, [
    arrival(bytes, envelope),
    arrival(`${bytes}x`, envelope),
    {
      ...arrival(bytes, { ...envelope, subject: '', controlId: `${controlId}-2` }),
      verdict: 'set-aside',
    },
  ]);
  const wake = await replayMessage(record, CLERK, opened.row.id, {
    correction: { raw: Buffer.from(`${bytes}y`) },
  });
  const [again = opened] = await nextInbox(record, wake, 1);
  await setAside(record, again.row, { issues: [issue], attempts: 1 });
  await updateResource(record, CLERK, { ...resource, id: 'p2' });
  await readResource(record, CLERK, { type: 'Patient', id: 'p1' });
  const asked: [string, string][] = [
    ['family', family],
    ['identifier', value],
    ['birthdate', birthDate],
    ['address', street],
  ];
  for (const parameter of asked) {
    const { query } = parseSearch('Patient', [parameter], { countDefault: 10, countMax: 10 });
    await searchResources(record, CLERK, query);
  }
  await checkpointAudit(record, TENANT);
  await record.close();
  const stored = bytesBelow(folder).toLowerCase();
  expect(stored.length).toBeGreaterThan(10_000);
  expect(stored).toContain('adt-inbound'); // the search does find what is in clear
  for (const secret of SECRETS) expect(stored.includes(secret.toLowerCase())).toBe(false);
});
