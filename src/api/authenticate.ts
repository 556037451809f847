// Who is calling: resolves the bearer token of a request. What that caller may do is access/.
import { timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { EngineError } from '../model/errors.ts';
import type { Principal } from '../model/principal.ts';
import type { ClinicalRecord } from '../record/context.ts';
import { resolveToken } from '../record/credentials.ts';
import type { CallerRate } from './caller-rate.ts';

/** Resolves the caller or throws UNAUTHENTICATED. `peer` is the caller's address. */
export type Authenticate = (request: FastifyRequest) => Promise<Principal>;

export interface AuthenticateOptions {
  record: ClinicalRecord;
  /** The secret of the run file: whoever can read that file (mode 0600) is the operator. */
  operatorSecret: string;
  tenant: string;
  rate: CallerRate;
}

/** Longer ones are refused unread: no token of ours comes near it. */
const TOKEN_LENGTH_MAX = 512;

/** Bearer tokens (RFC 6750, section 2.1) in the Authorization header; nowhere else. */
export function createAuthenticate(options: AuthenticateOptions): Authenticate {
  const secret = Buffer.from(options.operatorSecret);
  const authenticate: Authenticate = async (request) => {
    const header = request.headers.authorization ?? '';
    const token = /^Bearer +([A-Za-z0-9._~+/=-]+)$/i.exec(header)?.[1];
    if (token === undefined || token.length > TOKEN_LENGTH_MAX) {
      throw new EngineError('UNAUTHENTICATED', 'Send a bearer token in the Authorization header.');
    }
    const given = Buffer.from(token);
    if (secret.length > 0 && given.length === secret.length && timingSafeEqual(given, secret)) {
      return operator(options.tenant, request.ip);
    }
    const principal = await resolveToken(options.record, token);
    if (principal === undefined) {
      throw new EngineError('UNAUTHENTICATED', 'The token is unknown, expired or revoked.');
    }
    return { ...principal, peer: request.ip };
  };
  return async (request) => {
    try {
      return await authenticate(request);
    } catch (thrown) {
      // Only who has failed is slowed: a valid token passes from the same address.
      if (isUnknownCaller(thrown)) options.rate.failed(request.ip);
      throw thrown;
    }
  };
}

/** The caller is nobody known: without a valid token, or one of many such calls. */
export function isUnknownCaller(thrown: unknown): thrown is EngineError {
  if (!(thrown instanceof EngineError)) return false;
  return thrown.code === 'UNAUTHENTICATED' || thrown.code === 'TOO_MANY_REQUESTS';
}

function operator(tenant: string, peer: string): Principal {
  const scopes = ['admin/*.cruds', 'system/*.cruds', 'channel/*.write'];
  return { tenant, id: 'operator', scopes, peer, patient: null };
}
