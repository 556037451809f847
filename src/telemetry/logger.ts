// Named events as JSON lines, by pino. What may be logged is decided in events.ts, not here.
import pino, { type DestinationStream } from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface Logger {
  log(
    level: LogLevel,
    event: string,
    sentence: string,
    fields: Readonly<Record<string, unknown>>,
  ): void;
  /** Writes what is still held; call it before the process ends. */
  flush(): void;
}

export interface LoggerOptions {
  level: 'silent' | 'fatal' | LogLevel;
  /** Default: stderr, so that stdout holds the results of commands alone. */
  stream?: DestinationStream;
}

/** JSON lines `{"time":…,"level":"info","event":"message.received",…}`; times in UTC. */
export function createLogger(options: LoggerOptions): Logger {
  const stream = options.stream ?? pino.destination({ dest: 2, sync: true });
  const log = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  );
  return {
    log: (level, event, sentence, fields) => log[level]({ event, ...fields }, sentence),
    flush: () => log.flush(),
  };
}

/** A logger that drops everything, for tests and one-shot commands. */
export function silentLogger(): Logger {
  return { log: () => undefined, flush: () => undefined };
}
