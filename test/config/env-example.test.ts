import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { environmentSchema } from '../../src/config/environment-schema.ts';

describe('.env.example', () => {
  const text = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8');
  const names = [...text.matchAll(/^(?:# ?)?([A-Z][A-Z0-9_]*)=/gm)].map(([, name]) => name);

  it('lists each variable of the schema once, and no other', () => {
    expect(names.sort()).toEqual(Object.keys(environmentSchema(true, {}).shape).sort());
  });

  it('does not set NODE_ENV, so that a copy of it is production', () => {
    expect(text).not.toMatch(/^NODE_ENV/m);
  });

  it('contains no secret', () => {
    const secrets = /^(?:ENCRYPTION_KEY|OAUTH_STATE_SECRET|QBO_CLIENT_SECRET)=\S/m;
    expect(text).not.toMatch(secrets);
  });
});
