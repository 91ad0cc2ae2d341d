import { expect, it } from '@jest/globals';
import { DatabaseNode } from './database-node.ts';
import { FaultInjector } from './fault-injector.ts';
import type { StoredConnection } from './implementation.ts';
import { AUTHORIZATION_MS, Provider } from './provider.ts';
import { Random } from './random.ts';
import { Recorder } from './recorder.ts';
import { Replica } from './replica.ts';
import { DAY, HOUR, MINUTE, VirtualTime } from './virtual-time.ts';

/**
 * A connection that is marked as lost after an hour, although the provider still accepts its refresh token.
 * @param leftMs until its five-year limit
 */
async function falselyRejected({ leftMs = AUTHORIZATION_MS } = {}) {
  const time = new VirtualTime(0);
  const provider = new Provider({
    now: () => time.now,
    rotationIntervalMs: () => DAY,
    omitsLifetimes: () => false,
    hasGracePeriod: false,
  });
  const random = new Random(1);
  const replica = new Replica({ name: 'a', time, random, skewMs: 0, node: new DatabaseNode(time, random) });
  const response = provider.exchange(provider.consent('company', leftMs - AUTHORIZATION_MS), replica);
  if (!response) throw new Error('the code was rejected');
  const stored: StoredConnection = { ...response, isActive: false };
  const faults = new FaultInjector(time, { crash: () => undefined, lag: () => undefined });
  const recorder = new Recorder({
    time,
    provider,
    read: async () => stored,
    longestServiceSince: (instant) => faults.longestServiceSince(instant),
    onChange: () => undefined,
  });
  await time.run(HOUR);
  recorder.recordLoss('organization', 'rotation_lost');
  await time.run(HOUR + 1);
  const causes = () => recorder.losses.map(({ classification }) => classification.cause);
  const connectAgain = () => provider.exchange(provider.consent('company', time.now), replica);
  return { time, provider, faults, recorder, causes, connectAgain };
}

it('counts a false rejection as avoidable if the user connected again because of it', async () => {
  const { time, recorder, causes } = await falselyRejected();
  await time.run(3 * HOUR);
  recorder.finalizeLoss('organization', 2 * HOUR);
  expect(causes()).toEqual(['avoidable']);
});

it('counts a false rejection as unavoidable if the user was connecting again before it', async () => {
  const { time, recorder, causes } = await falselyRejected();
  await time.run(HOUR + 20 * MINUTE);
  recorder.finalizeLoss('organization', 30 * MINUTE);
  expect(causes()).toEqual(['rejected falsely until the user connected again']);
});

it('counts a false rejection as avoidable if there was time to recover, even if the user was connecting', async () => {
  const { time, recorder, causes } = await falselyRejected();
  await time.run(3 * DAY);
  recorder.finalizeLoss('organization', 30 * MINUTE);
  expect(causes()).toEqual(['avoidable']);
});

it('counts a false rejection as unavoidable if the provider was down until the user connected again days later', async () => {
  const { time, faults, recorder, causes } = await falselyRejected();
  await time.run(HOUR + 30 * MINUTE);
  faults.startProviderOutage('unavailable', 5 * DAY);
  await time.run(4 * DAY);
  faults.startProviderOutage('false_rejections', 4 * DAY + HOUR);
  await time.run(4 * DAY + 90 * MINUTE);
  recorder.finalizeLoss('organization', 3 * DAY);
  expect(causes()).toEqual(['rejected falsely until the user connected again']);
});

it('counts a false rejection as avoidable if the user connected again because of it, however soon', async () => {
  const { time, recorder, causes } = await falselyRejected();
  await time.run(HOUR + 45 * MINUTE);
  recorder.finalizeLoss('organization', HOUR + 40 * MINUTE);
  expect(causes()).toEqual(['avoidable']);
});

it('counts a false rejection as avoidable if the provider was up for an hour before the user connected again', async () => {
  const { time, faults, recorder, causes } = await falselyRejected();
  faults.startProviderOutage('refusing', DAY);
  await time.run(DAY + HOUR);
  faults.startProviderOutage('hanging', 3 * DAY);
  await time.run(2 * DAY);
  recorder.finalizeLoss('organization', 30 * HOUR);
  expect(causes()).toEqual(['avoidable']);
});

it('counts a false rejection as avoidable if the user disconnects, or the run ends', async () => {
  const { recorder, causes } = await falselyRejected();
  recorder.finalizeLoss('organization');
  expect(causes()).toEqual(['avoidable']);
});

it('attributes a false rejection to the end of the grant if it ended before it could be recovered', async () => {
  const { time, provider, recorder, causes } = await falselyRejected();
  await time.run(5 * HOUR);
  provider.revokeByUser('company');
  recorder.finalizeLoss('organization');
  expect(causes()).toEqual(['revoked in QuickBooks']);
});

it('attributes a false rejection to the five-year limit if it passed before it could be recovered, although nothing calls', async () => {
  const { time, recorder, causes } = await falselyRejected({ leftMs: 6 * HOUR });
  await time.run(5 * DAY);
  recorder.finalizeLoss('organization');
  expect(causes()).toEqual(['five-year limit']);
});

it('attributes it to the limit also if the user connects again after that', async () => {
  const { time, recorder, causes, connectAgain } = await falselyRejected({ leftMs: 6 * HOUR });
  await time.run(5 * DAY);
  connectAgain();
  recorder.finalizeLoss('organization', 4 * DAY);
  expect(causes()).toEqual(['five-year limit']);
});
