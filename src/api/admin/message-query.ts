// The query of message lists, as the routes of /admin/messages share it.
import { EngineError } from '../../model/errors.ts';
import type { MessageState } from '../../model/message.ts';
import type { IntakeFilter } from '../../store/port.ts';

export const ID = { type: 'string', pattern: '^[0-9a-f-]{36}$' };
export const NAME = { type: 'string', pattern: '^[a-z][a-z0-9-]{0,63}$' };
export const STATE = { enum: ['received', 'processed', 'set-aside'] };
export const TIME = { type: 'string', maxLength: 40 };

export interface ListQuery {
  channel?: string;
  state?: MessageState;
  patient?: string;
  from?: string;
  to?: string;
  before?: number;
  limit: number;
}

export function closed(properties: Record<string, unknown>, required: string[] = []): object {
  return { type: 'object', additionalProperties: false, properties, required };
}

export function filterOf(query: Omit<ListQuery, 'limit'>): IntakeFilter {
  const filter: IntakeFilter = {};
  if (query.channel !== undefined) filter.channel = query.channel;
  if (query.state !== undefined) filter.state = query.state;
  if (query.patient !== undefined) filter.compartment = query.patient;
  if (query.from !== undefined) filter.receivedFrom = instantOf('from', query.from);
  if (query.to !== undefined) filter.receivedTo = instantOf('to', query.to);
  return filter;
}

function instantOf(name: string, text: string): number {
  const time = Date.parse(text);
  if (Number.isFinite(time)) return time;
  throw new EngineError('BAD_REQUEST', `${name} must be an ISO 8601 time as 2026-01-31T08:00:00Z.`);
}
