// Opens everything that is stored, over /admin, for audit verify --bodies and doctor.
import type { Connection } from './connection.ts';

export interface BodiesReport {
  checked: number;
  forgotten: number;
  /** How many do not open. */
  damaged: number;
  /** Their names, the first NAMES_MAX. */
  names: string[];
}

const NAMES_MAX = 10_000;

/** `tell` is given each name as it is found, also those beyond the list. */
export async function checkAllBodies(
  server: Connection,
  tell: (name: string) => void,
): Promise<BodiesReport> {
  const report: BodiesReport = { checked: 0, forgotten: 0, damaged: 0, names: [] };
  let after: string | undefined;
  do {
    const query = { after };
    const page = await server.ask<Page>('GET', '/admin/audit/bodies', { query });
    report.checked += page.checked;
    report.forgotten += page.forgotten;
    report.damaged += page.damaged.length;
    for (const name of page.damaged) {
      tell(name);
      if (report.names.length < NAMES_MAX) report.names.push(name);
    }
    after = page.next;
  } while (after !== undefined);
  return report;
}

interface Page {
  checked: number;
  forgotten: number;
  damaged: string[];
  next?: string;
}

/** The report as one sentence. */
export function bodiesText({ checked, forgotten, damaged }: BodiesReport): string {
  const size = `${checked} stored records were opened, ${forgotten} are of forgotten patients`;
  return damaged === 0 ? `${size}, none is damaged.` : `${size}, ${damaged} do not open.`;
}
