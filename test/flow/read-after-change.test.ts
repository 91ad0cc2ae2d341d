import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeEachDatabase } from '../support/databases.ts';
import { useHarness } from '../support/harness.ts';
import { connect, disconnect, startService, status, type TestService } from '../support/service.ts';

const READERS = 32;
const CHANGES = 20;
const ORGANIZATIONS = ['org-0', 'org-1', 'org-2'];
const REPLICAS = ['the same replica', 'another replica'];

/** What one organization was changed to, in order: a company, or null after a disconnect. */
interface History {
  companies: (string | null)[];
  /** How many of the changes were acknowledged. */
  acknowledged: number;
}

describeEachDatabase('32 callers that read while another connects and disconnects', (createDatabase) => {
  const harness = useHarness(createDatabase);
  let replicas: TestService[];

  beforeAll(async () => {
    const { service, database, simulator, clock } = harness;
    replicas = [service, await startService({ databaseUrl: database.url, simulator, clock })];
  });
  afterAll(() => replicas[1]?.close());

  it('never get what was true before a change that was acknowledged when they asked', async () => {
    const histories = new Map<string, History>(
      ORGANIZATIONS.map((name) => [name, { companies: [null], acknowledged: 1 }]),
    );
    let isChanging = true;
    const outdated: string[] = [];
    let reads = 0;
    const change = async () => {
      for (let count = 0; count < CHANGES; count += 1) await changeOne(random([...histories]));
      isChanging = false;
    };
    const read = async () => {
      while (isChanging) {
        const [organization, history] = random([...histories]);
        const replica = random([0, 1]);
        const { acknowledged } = history;
        const { realm_id: company } = await status(replicas[replica] as TestService, organization);
        const possible = history.companies.slice(acknowledged - 1);
        if (!possible.includes(company as string | null)) {
          outdated.push(`${REPLICAS[replica]} returned ${company} instead of ${possible.join(' or ')}`);
        }
        reads += 1;
      }
    };
    await Promise.all([change(), ...Array.from({ length: READERS }, read)]);
    expect(outdated).toEqual([]);
    expect(reads).toBeGreaterThan(READERS);
  });

  /** Connects an organization to the next company, or disconnects it, always through the first replica. */
  async function changeOne([organization, history]: [string, History]): Promise<void> {
    const isConnected = history.companies.at(-1) !== null;
    const company = isConnected ? null : `${organization.slice(4)}${history.companies.length}`;
    history.companies.push(company);
    const { service, simulator } = harness;
    const response =
      company === null
        ? await disconnect(service, organization)
        : await connect(service, simulator, organization, { realmId: company });
    expect(response.status).toBe(company === null ? 200 : 302);
    history.acknowledged = history.companies.length;
  }
});

function random<T>(items: T[]): T {
  return items[Math.floor(Math.random() * items.length)] as T;
}
