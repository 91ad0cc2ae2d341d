import { Router } from 'express';
import { jsonOf } from './calls.ts';
import type { Fault } from './faults.ts';
import type { IntuitSimulator } from './simulator.ts';

type Controls = Pick<IntuitSimulator, 'calls' | 'totals' | 'resetCalls' | 'fail' | 'clearFaults' | 'revokeGrant'>;

/** Controls the simulator over HTTP, for other processes and for developers. */
export function controlRoutes(simulator: Controls): Router {
  const router = Router();
  router.post('/faults', (req, res) => {
    try {
      simulator.fail(jsonOf(req) as Fault);
      res.sendStatus(204);
    } catch (error) {
      res.status(400).json({ error: (error as Error).message });
    }
  });
  router.delete('/faults', (_req, res) => {
    simulator.clearFaults();
    res.sendStatus(204);
  });
  router.get('/calls', (_req, res) => {
    res.json(simulator.calls);
  });
  router.get('/totals', (_req, res) => {
    res.json(simulator.totals);
  });
  router.delete('/calls', (_req, res) => {
    simulator.resetCalls();
    res.sendStatus(204);
  });
  router.post('/revoke/:realmId', (req, res) => {
    res.sendStatus(simulator.revokeGrant(req.params.realmId) ? 204 : 404);
  });
  return router;
}
