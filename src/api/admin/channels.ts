// /admin/channels and /admin/stats: what runs, what is refused, how much waits.
import type { FastifyInstance } from 'fastify';
import type { Channel } from '../../model/channel.ts';
import { countResources } from '../../record/read.ts';
import { type Gate, principalOf } from './gate.ts';
import type { AdminServices, ChannelStatus } from './services.ts';

export function channelRoutes(app: FastifyInstance, services: AdminServices, gate: Gate): void {
  app.get('/channels', { onRequest: gate('channels', 's') }, async (request) => {
    const principal = principalOf(request);
    const counts = await countsByChannel(services, principal.tenant);
    const own = services.channels().filter((one) => one.channel.tenant === principal.tenant);
    const channels = own.map((one) => ({
      ...describeChannel(one),
      messages: counts.get(one.channel.name) ?? {},
    }));
    return { channels, problems: services.problems() };
  });
  app.get('/stats', { onRequest: gate('stats', 'r') }, async (request) => {
    const principal = principalOf(request);
    const rows = await services.record.store.intake.counts();
    return {
      messages: rows
        .filter((row) => row.tenant === principal.tenant)
        .map(({ channel, state, count }) => {
          return { channel, state, count };
        }),
      resources: await countResources(services.record, principal.tenant),
      queue: services.queueDepth(),
    };
  });
}

function describeChannel(status: ChannelStatus): Record<string, unknown> {
  const { channel, address, listening, connections, fault } = status;
  const { name, enabled, format } = channel;
  return {
    name,
    enabled,
    format,
    source: sourceOf(channel),
    address,
    listening,
    connections,
    fault,
  };
}

function sourceOf(channel: Channel): string {
  if (channel.source.kind === 'http') return 'http';
  return channel.source.tls === null ? 'mllp' : 'mllp+tls';
}

async function countsByChannel(
  services: AdminServices,
  tenant: string,
): Promise<Map<string, Record<string, number>>> {
  const counts = new Map<string, Record<string, number>>();
  for (const row of await services.record.store.intake.counts()) {
    if (row.tenant !== tenant) continue;
    counts.set(row.channel, { ...counts.get(row.channel), [row.state]: row.count });
  }
  return counts;
}
