import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import supertest from 'supertest';
import { createStrategies } from '../../src/strategies/strategy-registry.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { DIRECT } from '../support/egress.ts';
import { DAYS, HOURS, useHarness } from '../support/harness.ts';
import { type Ledgerly, LedgerlyStrategy, startLedgerly } from '../support/second-provider.ts';
import { startService, type TestService } from '../support/service.ts';

describeEachDatabase('a second provider alongside QuickBooks', (createDatabase) => {
  const harness = useHarness(createDatabase, { isolated: true });
  let ledgerly: Ledgerly;
  let service: TestService;

  beforeAll(async () => {
    ledgerly = await startLedgerly();
    const { clock, simulator, database, home } = harness;
    const strategies = [...createStrategies(home.config, DIRECT, clock), new LedgerlyStrategy(ledgerly.origin, clock)];
    service = await startService({ databaseUrl: database.url, simulator, clock, strategies });
  });
  beforeEach(() => void ledgerly.requests.splice(0));
  afterAll(async () => {
    await service.close();
    await ledgerly.close();
  });

  it('connects, and names its company only after the exchange', async () => {
    expect(await connect('acme')).toMatch(/\/settings\/integrations\?connected=true&system=ledgerly$/);
    expect(await status('ledgerly', 'acme')).toMatchObject({
      connected: true,
      accounting_system: 'ledgerly',
      realm_id: 'books-1',
      company_name: 'Books & Sons',
      authorization_expires_at: null,
    });
    expect(await status('quickbooks', 'acme')).toMatchObject({ connected: false, needs_reauthorization: false });
  });

  it('keeps a connection of its own beside the organization’s QuickBooks connection', async () => {
    const realmId = await harness.connect('acme');
    await connect('acme');
    expect(await status('quickbooks', 'acme')).toMatchObject({ connected: true, realm_id: realmId });
    expect(await status('ledgerly', 'acme')).toMatchObject({ connected: true, realm_id: 'books-1' });

    await supertest(service.origin).post('/api/v1/oauth/ledgerly/disconnect/acme').expect(200);
    expect(ledgerly.requests).toContain('POST /revoke');
    expect(await status('ledgerly', 'acme')).toMatchObject({ connected: false });
    expect(await status('quickbooks', 'acme')).toMatchObject({ connected: true });
    expect(harness.revocations()).toBe(0);
  });

  it('can be disconnected by a page of its public address, and by no foreign one', async () => {
    const disconnect = (origin: string) =>
      supertest(service.origin).post('/api/v1/oauth/ledgerly/disconnect/acme').set('Origin', origin);
    await disconnect('http://ledgerly.localhost:8080').expect(200);
    await disconnect('http://foreign.localhost:8080').expect(403);
  });

  it('rejects a state that was issued for the other provider', async () => {
    const { state, cookie } = await start('acme');
    const query = new URLSearchParams({ state, code: 'good-code', realmId: '1' });
    const response = await supertest(service.origin)
      .get(`/api/v1/oauth/quickbooks/callback?${query}`)
      .set('Cookie', cookie);
    expect([response.status, response.body.code]).toEqual([400, 'invalid_state']);
    expect([ledgerly.requests, harness.simulator.calls]).toEqual([[], []]);
  });

  it('is called through the gateway at its own base path and with its own headers', async () => {
    await connect('acme');
    const response = await supertest(service.origin).get('/api/v1/ledgerly/acme/journal?page=2').expect(200);
    expect(response.body).toEqual({ name: 'Books & Sons', path: '/rest/books/books-1/journal?page=2' });
    expect(ledgerly.requests.at(-1)).toBe('GET /rest/books/books-1/journal?page=2 2');
  });

  it('refreshes an expired token before a gateway call', async () => {
    await connect('acme');
    ledgerly.requests.splice(0);
    harness.clock.advance(25 * HOURS);
    await supertest(service.origin).get('/api/v1/ledgerly/acme/journal').expect(200);
    expect(ledgerly.requests).toEqual(['POST /token', 'GET /rest/books/books-1/journal 2']);
  });

  it('is kept alive by its own lifetimes, while QuickBooks’ connection is not due', async () => {
    await harness.connect('acme');
    await connect('acme');
    ledgerly.requests.splice(0);
    harness.clock.advance(24 * DAYS);
    await service.context.worker.tick();
    expect(ledgerly.requests).toEqual([]);
    harness.clock.advance(1 * DAYS);
    await service.context.worker.tick();
    expect(ledgerly.requests).toEqual(['POST /token']);
    expect(harness.refreshes()).toBe(0);
  });

  it('is left alone by a worker that does not know it', async () => {
    await connect('acme');
    ledgerly.requests.splice(0);
    harness.clock.advance(26 * DAYS);
    await harness.home.worker.tick();
    expect([ledgerly.requests, harness.simulator.calls]).toEqual([[], []]);
    expect(harness.logs.filter((line) => JSON.parse(line).level >= 50)).toEqual([]);
  });

  async function start(organization: string): Promise<{ state: string; cookie: string }> {
    const { headers } = await supertest(service.origin)
      .get(`/api/v1/oauth/ledgerly/connect/${organization}`)
      .expect(302);
    const state = new URL(String(headers['location'])).searchParams.get('state') ?? '';
    return { state, cookie: String(headers['set-cookie']).split(';')[0] ?? '' };
  }

  /** Runs the whole flow of one browser. Returns the URL that it is redirected to. */
  async function connect(organization: string): Promise<string> {
    const { state, cookie } = await start(organization);
    const query = new URLSearchParams({ state, code: 'good-code' });
    const response = await supertest(service.origin)
      .get(`/api/v1/oauth/ledgerly/callback?${query}`)
      .set('Cookie', cookie);
    return String(response.headers['location']);
  }

  async function status(system: string, organization: string): Promise<object> {
    return (await supertest(service.origin).get(`/api/v1/oauth/${system}/status/${organization}`).expect(200)).body;
  }
});
