// One line of what artery doctor finds.

export interface Check {
  name: string;
  state: 'ok' | 'warning' | 'failed';
  /** What was found and, when it is not well, what to do. */
  text: string;
}

export function ok(name: string, text: string): Check {
  return { name, state: 'ok', text };
}

export function warning(name: string, text: string): Check {
  return { name, state: 'warning', text };
}

export function failed(name: string, text: string): Check {
  return { name, state: 'failed', text };
}
