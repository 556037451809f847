// Owns the declaration of access that every route must have: the guard that a route runs before its
// body is read carries what it asks for, so that what is declared is what is enforced.
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import type { RouteAccess } from '../access/route.ts';
import { EngineError } from '../model/errors.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the route asks of its caller; set by the route, or taken from its guard. */
    access?: RouteAccess;
  }
}

/** An onRequest hook that lets a caller in or throws, and says what it asks for. */
export interface Guard {
  (request: FastifyRequest, reply: FastifyReply): Promise<void>;
  readonly access: RouteAccess;
}

/** A guard that asks for `access`; `check` throws when the caller does not have it. */
export function guardOf(
  access: RouteAccess,
  check: (request: FastifyRequest, reply: FastifyReply) => Promise<void>,
): Guard {
  return Object.assign(check, { access });
}

/** For routes that anybody may call. */
export const OPEN: { config: { access: RouteAccess } } = { config: { access: { kind: 'open' } } };

export interface RouteRow {
  method: string;
  /** As registered: `/fhir/R4/:type/:id`. */
  url: string;
  access: RouteAccess;
}

/**
 * Refuses routes that declare no access, from now on: registering one throws INTERNAL, so that the
 * server does not start. Answers the table of all routes; it grows as routes are registered.
 */
export function requireAccess(app: FastifyInstance): readonly RouteRow[] {
  const rows: RouteRow[] = [];
  app.addHook('onRoute', (route) => {
    const access = accessOf(route);
    const methods = [route.method].flat();
    if (access === undefined) {
      const text = `The route ${methods.join(', ')} ${route.url} declares no access.`;
      throw new EngineError('INTERNAL', text);
    }
    route.config = { ...route.config, access };
    for (const method of methods) rows.push({ method, url: route.url, access });
  });
  return rows;
}

function accessOf(route: RouteOptions): RouteAccess | undefined {
  if (route.config?.access !== undefined) return route.config.access;
  const hooks = [route.onRequest ?? []].flat() as Partial<Guard>[];
  return hooks.find((hook) => hook.access !== undefined)?.access;
}

/** Methods that are served under the path of `url`, sorted; empty = no route has that path. */
export function methodsServed(rows: readonly RouteRow[], url: string): string[] {
  const path = (url.split('?')[0] ?? '').split('/');
  const matching = rows.filter((row) => {
    const steps = row.url.split('/');
    const fits = (step: string, at: number) => step.startsWith(':') || step === path[at];
    return steps.length === path.length && steps.every(fits);
  });
  return [...new Set(matching.map(({ method }) => method))].sort();
}
