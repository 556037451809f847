// Ids of resources that come without one of ours: made from what identifies them, so that the same
// resource sent again is the same resource.
import { resourceId } from '../crypto/uuid.ts';
import { isPlainObject } from '../mapping/json.ts';
import type { PipelineInput } from '../model/pipeline.ts';
import type { Resource } from '../model/resource.ts';

export interface Identity {
  id: string;
}

/**
 * By preference: the first identifier with a system; the absolute fullUrl; the sender's own
 * identifier or id, within that sender; the message and the position in it.
 */
export function identify(
  { resource, fullUrl }: { resource: Resource; fullUrl: string },
  position: number,
  { envelope }: PipelineInput,
): Identity {
  const { tenant, sender, id: messageId } = envelope;
  const make = (key: string) => ({ id: resourceId(tenant, resource.resourceType, key) });
  const identifiers = readIdentifiers(resource);
  const global = identifiers.find(({ system }) => system !== '');
  if (global !== undefined) return make(`${global.system}|${global.value}`);
  if (/^https?:/.test(fullUrl)) return make(fullUrl);
  const [local] = identifiers;
  if (local !== undefined) return make(`sender|${sender}|${local.value}`);
  if (typeof resource.id === 'string') return make(`sender|${sender}|id|${resource.id}`);
  return make(`message|${messageId}|${position}`);
}

/** `Patient?identifier=system|value` to the id that such a resource gets; undefined = not so. */
export function readConditional(
  text: string,
  tenant: string,
): { type: string; id: string } | undefined {
  const match = /^([A-Z][A-Za-z]+)\?identifier=([^&|]+(?:\||%7[cC])[^&]+)$/.exec(text);
  const [, type, query] = match ?? [];
  if (type === undefined || query === undefined) return undefined;
  try {
    const [system = '', ...value] = decodeURIComponent(query).split('|');
    return { type, id: resourceId(tenant, type, `${system}|${value.join('|')}`) };
  } catch {
    return undefined;
  }
}

function readIdentifiers(resource: Resource): { system: string; value: string }[] {
  const written = resource.identifier;
  const list: unknown[] = Array.isArray(written) ? written : [written];
  return list.flatMap((item) => {
    if (!isPlainObject(item) || typeof item.value !== 'string' || item.value === '') return [];
    return [{ system: typeof item.system === 'string' ? item.system : '', value: item.value }];
  });
}
