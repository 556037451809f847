// AuditEvent as FHIR R4 wants it.
import { describe, expect, it } from 'vitest';
import { auditEventOf } from '../../src/audit/auditevent.ts';
import { AUDIT_ACTIONS } from '../../src/audit/entry.ts';
import { validateResource } from '../../src/fhir/validate.ts';

describe('an AuditEvent', () => {
  it.each(AUDIT_ACTIONS)('of %s is a valid resource', (action) => {
    const event = auditEventOf('id-1', 7, 1_700_000_000_000, {
      action,
      outcome: 'success',
      who: 'clerk',
      peer: '10.0.0.7',
      message: 'm-1',
      resources: ['Patient/1/_history/1'],
    });
    expect(validateResource(event)).toEqual([]);
    const bare = auditEventOf('id-1', 7, 1, { action, outcome: 'failure', who: 'artery' });
    expect(validateResource(bare)).toEqual([]);
  });

  it('tells who, what and when', () => {
    const event = auditEventOf('id-1', 7, 1_700_000_000_000, {
      action: 'read',
      outcome: 'success',
      who: 'clerk',
      resources: ['Patient/1/_history/1'],
    });
    expect(event).toMatchObject({
      action: 'R',
      recorded: '2023-11-14T22:13:20.000Z',
      outcome: '0',
      agent: [{ who: { identifier: { value: 'clerk' } } }],
      entity: [{ what: { reference: 'Patient/1/_history/1' } }],
    });
  });
});
