import type { ActiveConnection } from '../../models/connection.ts';
import type { StrategyRegistry } from '../../strategies/strategy-registry.ts';
import { SingleFlight } from '../../utils/single-flight.ts';
import type { CompanyVerification, ConnectionVerifier } from '../connection-verifier.ts';
import { connectionNotFound, providerUnavailable } from '../provider-errors.ts';

interface Dependencies {
  strategies: StrategyRegistry;
  verifier: ConnectionVerifier;
}

/** Proves connections that are unproven since connect before their first use. Concurrent calls share one request. */
export class ConnectionProofs {
  private readonly strategies: StrategyRegistry;
  private readonly verifier: ConnectionVerifier;
  private readonly flights = new SingleFlight<CompanyVerification>();

  constructor({ strategies, verifier }: Dependencies) {
    this.strategies = strategies;
    this.verifier = verifier;
  }

  /** @throws AppError `connection_not_found` if the provider denies the company, so that the connection has ended; `provider_unavailable` */
  async prove(connection: ActiveConnection): Promise<void> {
    const { tokenId, system } = connection;
    const verification = await this.flights.run(tokenId, () => this.verifier.verifyCompany(connection));
    if (verification === 'verified') return;
    const strategy = this.strategies.get(system);
    const isDenied = verification === 'denied' || verification === 'ended';
    throw isDenied ? connectionNotFound(strategy) : providerUnavailable(strategy);
  }
}
