// Scopes and decisions, one row each.
import { describe, expect, it } from 'vitest';
import { type Action, authorize } from '../../src/access/authorize.ts';
import { parseScope, parseScopes } from '../../src/access/scopes.ts';

const READ: Action = { kind: 'fhir', verb: 'r', type: 'Patient' };
const CREATE: Action = { kind: 'fhir', verb: 'c', type: 'Observation' };
const SEARCH: Action = { kind: 'fhir', verb: 's', type: 'Practitioner' };
const POST: Action = { kind: 'channel', name: 'adt-inbound' };
const REPLAY: Action = { kind: 'admin', verb: 'u', area: 'messages' };

function decide(scopes: string, action: Action, patient: string | null = null) {
  const principal = { tenant: 'default', id: 'x', peer: '', scopes: scopes.split(' '), patient };
  return authorize(principal, action);
}

describe('authorize', () => {
  const rows: [string, Action, string | null, true | false | string][] = [
    ['system/*.cruds', READ, null, true],
    ['system/*.rs', READ, null, true],
    ['system/Patient.r', READ, null, true],
    ['system/Patient.s', READ, null, false],
    ['system/Observation.rs', READ, null, false],
    ['system/Patient.read', READ, null, true],
    ['system/*.write', READ, null, false],
    ['system/*.write', CREATE, null, true],
    ['system/*.*', CREATE, null, true],
    ['system/*.rs', CREATE, null, false],
    ['user/*.r', READ, null, true],
    ['patient/*.rs', READ, 'p1', 'p1'],
    ['patient/*.rs', READ, null, false],
    ['patient/*.rs', SEARCH, 'p1', true],
    ['patient/*.cruds', CREATE, 'p1', 'p1'],
    ['patient/*.cruds', { kind: 'fhir', verb: 'u', type: 'Practitioner' }, 'p1', 'p1'],
    ['patient/*.rs system/Patient.r', READ, 'p1', true],
    ['system/Patient.r patient/*.rs', READ, 'p1', true],
    ['channel/adt-inbound.write', POST, null, true],
    ['channel/*.write', POST, null, true],
    ['channel/lab-inbound.write', POST, null, false],
    ['system/*.cruds', POST, null, false],
    ['admin/*.cruds', REPLAY, null, true],
    ['admin/messages.u', REPLAY, null, true],
    ['admin/messages.rs', REPLAY, null, false],
    ['admin/*.cruds', READ, null, false],
    ['channel/*.write', REPLAY, null, false],
    ['', READ, null, false],
    ['nonsense', READ, null, false],
    ['system/*.sr', READ, null, false],
  ];
  it.each(rows)('"%s" for %j of patient %s', (scopes, action, patient, expected) => {
    const decision = decide(scopes, action, patient);
    expect(decision.allowed).toBe(expected !== false);
    if (decision.allowed) expect(decision.within).toBe(expected === true ? null : expected);
    else expect(decision.reason).toMatch(/^The token .*\.$/);
  });
});

describe('parseScope', () => {
  it.each([
    'system',
    'system/',
    'system/*',
    'system/*.',
    'system/*.x',
    'system/*.rr',
    'system/patient.r',
    'system/Patient.r?code=x',
    'channel/x.read',
    'channel/../x.write',
    'admin/.r',
    'openid',
    'SYSTEM/*.r',
    'system/*.rs\n',
    ' system/*.rs',
  ])('refuses "%s"', (text) => expect(parseScope(text)).toBeNull());

  it('reads the v1 forms as v2', () => {
    expect(parseScope('system/*.read')).toMatchObject({ verbs: 'rs' });
    expect(parseScope('user/Patient.write')).toMatchObject({ verbs: 'cud' });
    expect(parseScope('patient/*.*')).toMatchObject({ verbs: 'cruds' });
  });

  it('splits a scope string and names what it does not know', () => {
    expect(parseScopes('system/*.rs  openid system/*.rs channel/*.write')).toEqual({
      scopes: ['system/*.rs', 'channel/*.write'],
      unknown: ['openid'],
    });
  });
});
