import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';

const DIRECTORY = new URL('../../migrations/', import.meta.url);

/** SHA-256 of each file. A database that has run a migration never runs it again, so a change is a new migration. */
const DIGESTS: Record<string, string> = {
  '20260201000000_create_oauth_tokens.ts': 'be749111f52bed9ea367efbecdc3237bf01f942a7d1fbc9b69229a95cd93d123',
  '20260201000001_create_oauth_states.ts': '9d8482e345102f4ac478c5affc4f97f06aaddeb2a636bfce747d8dc00059d9ab',
  '20260301000000_create_connection_events.ts': '2870111d77bd75aa3f987268dc6c921d699807e649986437fc83e5155a466f31',
  '20260301000001_create_webhook_queues.ts': '939af8e2cd049fcc75167f39b6389318b5040f8b3885ee2be514d40db72807c4',
  '20260301000002_create_pending_revocations.ts': 'da1d1f3fbcf5cfbf5e0ee335cbf72e74849632690204c57ca8ca8645ad7b3ee1',
  '20260401000000_create_connection_counts.ts': 'd896e3e7094beeeb9817abee39b9cdddcc497887bd1d609363f92113512c1f36',
  '20261127000000_add_callback_outcomes.ts': 'e86225ee7a00000b1da664d719ad5b869b1bc7b1ecb6b4980397c793b6c9ce2b',
  '20261127000100_create_pending_grants.ts': '3a1738f806e6b8f226c85d0ba50e95e6a47aba9e9a73a68fd2a68e5fc98e8698',
  '20261127000200_add_verification_requests.ts': 'e9c702053185b0adcf3483d203c5a54688ab1b4a5225d138a025134abb716b6b',
  '20261127006000_add_connection_lists.ts': '882be29b00690cc069ea7daad102ad4fffc9e68d90ccfa3f463fd6665c357b2a',
  '20261128000000_add_company_reads.ts': '6b42d114fe8c59ee98eb7b54274750cfa2057d303cb9ba2c557d97978ecf3183',
  '20261128000100_add_revocation_organizations.ts': '0dca8fbc19c801b1a0d5dd64bc106e38dbf1cb48296809d63837fedbc069347c',
};

describe('migrations', () => {
  it('are frozen: a change of the schema is a new file, whose digest is added here', () => {
    const found = readdirSync(DIRECTORY)
      .filter((name) => name.endsWith('.ts'))
      .map((name) => [name, digest(name)]);
    expect(Object.fromEntries(found)).toEqual(DIGESTS);
  });
});

function digest(name: string): string {
  return createHash('sha256')
    .update(readFileSync(new URL(name, DIRECTORY)))
    .digest('hex');
}
