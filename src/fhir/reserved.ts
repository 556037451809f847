// Owns the rule of what Artery alone writes: AuditEvents, and the Provenance of a message. A client
// could else make history that never happened.
import type { Resource } from '../model/resource.ts';

/** System of the identifier by which a Provenance names the message that it is about. */
export const MESSAGE_SYSTEM = 'urn:artery:message';
/** How Artery calls itself as the agent of a Provenance. */
export const ENGINE_DISPLAY = 'Artery';

/** Types that no client creates or updates. */
export const ENGINE_TYPES: ReadonlySet<string> = new Set(['AuditEvent']);

/** Why a client may not write the resource, '' = he may. */
export function reservedFault(resource: Resource): string {
  if (ENGINE_TYPES.has(resource.resourceType)) {
    return 'An AuditEvent is written by Artery alone: its audit log is read under /admin/audit.';
  }
  if (!isEngineProvenance(resource)) return '';
  return 'The Provenance says that Artery made it (agent Artery, or entity urn:artery:message).';
}

/** Whether it is, or claims to be, the Provenance that Artery makes of a message. */
export function isEngineProvenance(resource: Resource): boolean {
  if (resource.resourceType !== 'Provenance') return false;
  const { agent, entity } = resource as unknown as { agent: unknown; entity: unknown };
  return listOf(agent).some(isEngineAgent) || listOf(entity).some(isMessageEntity);
}

function isEngineAgent(agent: unknown): boolean {
  const { who, onBehalfOf } = membersOf(agent);
  return [who, onBehalfOf].some((one) => {
    const { display } = membersOf(one);
    const told = typeof display === 'string' ? display.normalize('NFKC').trim() : '';
    return told.toLowerCase() === ENGINE_DISPLAY.toLowerCase() || isMessageReference(one);
  });
}

function isMessageEntity(entity: unknown): boolean {
  const { what, agent } = membersOf(entity);
  return isMessageReference(what) || listOf(agent).some(isEngineAgent);
}

function isMessageReference(reference: unknown): boolean {
  const { system } = membersOf(membersOf(reference).identifier);
  return typeof system === 'string' && system.trim().toLowerCase() === MESSAGE_SYSTEM;
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function membersOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
