import { type DestinationStream, type Logger, pino } from 'pino';
import type { Config } from './config.ts';

export type { Logger };

/** The second net: nothing that holds one of these is logged in the first place. */
const SECRETS = [
  'access_token',
  'accessToken',
  'refresh_token',
  'refreshToken',
  'client_secret',
  'clientSecret',
  'password',
  'authorization',
  'cookie',
  'set-cookie',
  'query',
];

/** JSON lines on stdout; on a terminal in development, readable ones. */
export async function createLogger(config: Config, destination?: DestinationStream): Promise<Logger> {
  const options = {
    level: config.logLevel,
    redact: {
      paths: SECRETS.flatMap((name) => [`["${name}"]`, `*["${name}"]`, `*.*["${name}"]`]),
      censor: '[redacted]',
    },
  };
  return pino(options, destination ?? (await prettyStream(config)) ?? standardOutput());
}

/** Where stdout is a file on a disk that is full, lines wait for room, and nobody for them. */
function standardOutput(): DestinationStream {
  return pino.destination(1).on('error', () => undefined);
}

async function prettyStream(config: Config): Promise<DestinationStream | undefined> {
  if (config.production || !process.stdout.isTTY) return undefined;
  const pretty = await import('pino-pretty').catch(() => undefined); // absent where only production's packages are
  return pretty?.default({
    translateTime: 'SYS:HH:MM:ss.l',
    messageFormat: '{msg}{if method} {method} {route}{end}',
    ignore: 'pid,hostname,event,method,route',
    singleLine: true,
  });
}
