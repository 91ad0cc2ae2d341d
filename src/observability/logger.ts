import { type DestinationStream, type Logger, pino } from 'pino';
import type { Config } from '../config/config.ts';
import { standardOutput } from './standard-output.ts';

export type { Logger };

/** Names of fields that are redacted. A second line of defence: no code logs one of them. */
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

/** JSON lines on stdout; on a terminal in development, readable ones, without those of polling. */
export async function createLogger(
  config: Pick<Config, 'logLevel' | 'production'>,
  destination?: DestinationStream,
): Promise<Logger> {
  const options = {
    level: config.logLevel,
    redact: {
      paths: SECRETS.flatMap((name) => [`["${name}"]`, `*["${name}"]`, `*.*["${name}"]`]),
      censor: '[redacted]',
    },
  };
  return pino(options, destination ?? (await prettyStream(config)) ?? standardOutput());
}

async function prettyStream(config: Pick<Config, 'production'>): Promise<DestinationStream | undefined> {
  if (config.production || !process.stdout.isTTY) return undefined;
  const pretty = await import('pino-pretty').catch(() => undefined); // a development dependency
  const stream = pretty?.default({
    translateTime: 'SYS:HH:MM:ss.l',
    messageFormat: '{msg}{if method} {method} {route}{end}',
    ignore: 'pid,hostname,event,method,route',
    singleLine: true,
    sync: true, // so that development's banner is printed after the lines before it
  });
  return stream && { write: (line) => void (isPoll(line) || stream.write(line)) };
}

/** Whether a line is of a page's successful polling, which would scroll everything else away. */
function isPoll(line: string): boolean {
  return /"method":"GET","route":"[^"]*\/(status|events)\/[^"]*","status":200/.test(line);
}
