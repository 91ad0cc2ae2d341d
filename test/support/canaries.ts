import type { Knex } from 'knex';
import type { IntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { secretsOfCalls } from './secrets.ts';

/** What nobody may be told, each with its name, and all that was told: the two must not meet. */
export class Canaries {
  private readonly secrets = new Map<string, string>();

  add(name: string, secret: string | undefined): void {
    if (!secret || secret.length < 8) throw new Error(`${name} is too short to be searched for`);
    this.secrets.set(secret, name);
  }

  /** Codes, tokens and credentials that went to Intuit, and all that it made for these companies. */
  addFrom(simulator: IntuitSimulator, realmIds: Iterable<string>): void {
    for (const secret of secretsOfCalls(simulator.calls, simulator)) this.add('of a call to Intuit', secret);
    for (const realmId of realmIds) {
      const grant = simulator.grantFor(realmId);
      for (const token of grant?.accessTokens ?? []) this.add('access token', token);
      if (grant) this.add('refresh token', grant.refreshToken);
    }
  }

  get count(): number {
    return this.secrets.size;
  }

  /** The secrets that one of the texts holds, by name, with what stands before each. */
  foundIn(texts: string[]): string[] {
    const whole = texts.join('\n');
    return [...this.secrets].flatMap(([secret, name]) => {
      const forms = new Set([secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64')]);
      const at = Math.max(...[...forms].map((form) => whole.indexOf(form)));
      return at === -1 ? [] : [`${name} after ${whole.slice(Math.max(0, at - 120), at)}`];
    });
  }
}

/** All that the database holds, a text for each table. */
export async function contentsOf(knex: Knex): Promise<string[]> {
  const [tables] = await knex.raw('SHOW TABLES');
  const names = (tables as object[]).flatMap((row) => Object.values(row) as string[]);
  return Promise.all(names.map(async (name) => `${name}: ${JSON.stringify(await knex(name))}`));
}
