import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Response } from 'supertest';
import { createSqlite, describeOnServer } from '../support/databases.ts';
import { callback } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect, consent, disconnect, startService, type TestService } from '../support/service.ts';
import { useStage } from '../support/stage.ts';

describe('ten callbacks with one code at once on one replica', () => {
  const stage = useStage(createSqlite);

  it('are one exchange: one is led to the frontend, nine are told invalid_state', async () => {
    const flow = await consent(stage.service, stage.simulator, 'org');
    expectOne(await Promise.all(Array.from({ length: 10 }, () => callback(stage.service, flow))));
    expect(stage.simulator.callsTo('token')).toHaveLength(1);
    expect(await stage.activeRows('org')).toHaveLength(1);
  });

  itKeptSecrets(stage);
});

describeOnServer('two replicas on one database', (createDatabase) => {
  const stage = useStage(createDatabase);
  let second: TestService;
  let replicas: TestService[];

  beforeAll(async () => {
    second = await startService({ databaseUrl: stage.database.url, simulator: stage.simulator });
    replicas = [stage.service, second];
  });
  afterAll(() => second.close());

  it('exchange a code once, though ten callbacks bring it at once', async () => {
    const flow = await consent(stage.service, stage.simulator, 'org');
    expectOne(await Promise.all(ten((replica) => callback(replica, flow))));
    expect(stage.simulator.callsTo('token')).toHaveLength(1);
    expect(await stage.activeRows('org')).toHaveLength(1);
  });

  it('end ten reconnects at once with one active row', async () => {
    const answers = await Promise.all(ten((replica) => connect(replica, stage.simulator, 'busy')));
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(302));
    expect(await stage.activeRows('busy')).toHaveLength(1);
    expect((await stage.rows('busy')).filter(({ refresh_token }) => refresh_token !== '')).toHaveLength(1);
  });

  it('survive connects and disconnects of one organization crossing each other', async () => {
    const crossing = ten((replica, index) =>
      index % 3 === 0 ? disconnect(replica, 'crossed') : connect(replica, stage.simulator, 'crossed'),
    );
    for (const { status } of await Promise.all(crossing)) expect([200, 302]).toContain(status);
    expect((await stage.activeRows('crossed')).length).toBeLessThanOrEqual(1);
  });

  function ten(work: (replica: TestService, index: number) => Promise<Response>): Promise<Response>[] {
    return Array.from({ length: 10 }, (_, index) => work(replicas[index % 2] as TestService, index));
  }

  itKeptSecrets(stage);
});

function expectOne(answers: Response[]): void {
  expect(answers.filter(({ status }) => status === 302)).toHaveLength(1);
  const refused = answers.filter(({ body }) => body.code === 'invalid_state');
  expect(refused.map(({ status }) => status)).toEqual(Array(9).fill(400));
}
