import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, it } from '@jest/globals';
import { describeOnServer } from './support/databases.ts';
import { useHarness } from './support/harness.ts';

/** Every SQL statement of the operations guide, in blocks and in lines, with the page that it is in. */
const STATEMENTS = readdirSync('docs/operations').flatMap((page) => {
  const text = readFileSync(`docs/operations/${page}`, 'utf8');
  const blocks = [...text.matchAll(/```sql\n(.*?)```/gs)].map(([, sql = '']) => sql.replace(/^\s*--.*$/gm, ''));
  const inline = [...text.matchAll(/`((?:DELETE FROM|UPDATE) [^`]+)`/g)].map(([, sql = '']) => sql);
  return [...blocks, ...inline]
    .flatMap((part) => part.split(/;\s+|;$/))
    .map((sql) => [page, sql.trim()] as const)
    .filter(([, sql]) => sql !== '' && !/^CREATE DATABASE/.test(sql));
});

describeOnServer('the SQL of the operations guide', (createDatabase) => {
  const suffix = randomUUID().slice(0, 8);
  const users = new Set<string>();

  afterAll(async () => {
    for (const user of users) await harness.knex.raw(`DROP USER ${user}@'%'`);
  });

  const harness = useHarness(createDatabase); // closes after the users were dropped

  it.each(STATEMENTS)('of %s runs: %s', async (_page, sql) => {
    const database = new URL(harness.database.url).pathname.slice(1);
    const own = sql.replaceAll('accounting.', `${database}.`).replace(/(\w+)@'%'/g, (_match, name: string) => {
      users.add(`${name}_${suffix}`);
      return `${name}_${suffix}@'%'`;
    });
    await harness.knex.raw(own.replaceAll('?', '\\?'));
  });
});
