import type { Knex } from 'knex';
import type { IntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { secretsOfCalls } from './secrets.ts';

/** Secrets, each with a name, that are searched for in everything the service writes. */
export class Canaries {
  private readonly secrets = new Map<string, string>();

  add(name: string, secret: string | undefined): void {
    if (!secret || secret.length < 8) throw new Error(`${name} is too short to be searched for`);
    this.secrets.set(secret, name);
  }

  /** Adds the codes, tokens and credentials that were sent to Intuit, and all tokens of these companies. */
  addFrom(simulator: IntuitSimulator, realmIds: Iterable<string>): void {
    for (const secret of secretsOfCalls(simulator.calls, simulator)) this.add('secret of a call to Intuit', secret);
    for (const realmId of realmIds) {
      const grant = simulator.grantFor(realmId);
      for (const token of grant?.accessTokens ?? []) this.add('access token', token);
      if (grant) this.add('refresh token', grant.refreshToken);
    }
  }

  get count(): number {
    return this.secrets.size;
  }

  /** Returns the names of the secrets that the texts contain, each with the characters before it. */
  foundIn(texts: string[]): string[] {
    const joined = texts.join('\n');
    return [...this.secrets].flatMap(([secret, name]) => {
      const forms = new Set([secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64')]);
      const position = Math.max(...[...forms].map((form) => joined.indexOf(form)));
      return position === -1 ? [] : [`${name} after ${joined.slice(Math.max(0, position - 120), position)}`];
    });
  }
}

/** Returns everything that the database contains, as one text per table. */
export async function contentsOf(knex: Knex): Promise<string[]> {
  const [tables] = await knex.raw('SHOW TABLES');
  const names = (tables as object[]).flatMap((row) => Object.values(row) as string[]);
  return Promise.all(names.map(async (name) => `${name}: ${JSON.stringify(await knex(name))}`));
}
