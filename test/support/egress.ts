import { Egress } from '../../src/egress/egress.ts';
import { systemClock } from '../../src/utils/clock.ts';

/** Without a proxy. */
export const DIRECT = new Egress({ httpProxy: undefined, httpsProxy: undefined, noProxy: [] }, systemClock);
