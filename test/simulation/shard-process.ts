import { runShard } from './shard.ts';

// Runs the shards whose seeds it receives, one after the other, until it is disconnected.
process.on('message', async (seed: number) => {
  process.send?.(await runShard(seed));
});
