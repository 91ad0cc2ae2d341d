import type { CareDatastore } from '../datastores/maintenance-datastore.ts';
import { AppError } from '../errors.ts';
import type { Connection } from '../models/connection.ts';
import * as care from '../models/maintenance.ts';
import type { Logger } from '../observability/logger.ts';
import { NOT_CALLED, type TokenManager } from '../services/token-manager.ts';
import { type AccountingStrategy, ProviderError } from '../strategies/accounting-strategy.ts';

const MINUTE_MS = 60_000;
/** How long a worker has a connection for itself; where the provider is in trouble, also when it is tried again. */
const CLAIM_MS = 10 * MINUTE_MS;
/** A row that something is wrong with is left alone for so long. */
const POISONED_MS = 6 * 60 * MINUTE_MS;
/** A company that has no name is asked for it again after its next refresh, not before. */
const NAMELESS = '';

/** How a connection's care went. `quiet`: the provider was not called. `trouble`: it would meet the next one as well. */
export type CareOutcome = 'called' | 'quiet' | 'trouble';

/** Does for one connection what is due: keeps it alive, tells its end, reads its company's name, recovers or forgets it. */
export class Caretaker {
  constructor(
    private readonly strategy: AccountingStrategy,
    private readonly connections: CareDatastore,
    private readonly tokenManager: TokenManager,
    private readonly logger: Logger,
    private readonly now: () => Date,
  ) {}

  async listDue(most: number): Promise<Connection[]> {
    return this.connections.listDue(most);
  }

  async care(due: Connection): Promise<CareOutcome> {
    const claimed = await this.connections.claim(due, this.after(CLAIM_MS));
    if (!claimed) return 'quiet'; // somebody else has it
    try {
      return await (claimed.isActive ? this.keep(claimed) : this.recoverOrForget(claimed));
    } catch (error) {
      if (error instanceof AppError && error.reason === NOT_CALLED) return 'quiet'; // its claim runs out: due again
      if (isProviderTrouble(error)) return 'trouble';
      if (error instanceof AppError && error.code === 'service_unavailable') throw error;
      if (isSettled(error)) return 'called';
      this.logger.error({ err: error, token_id: due.tokenId, organization_id: due.organizationId }, 'care failed');
      await this.connections.schedule(claimed, this.after(POISONED_MS));
      return 'quiet';
    }
  }

  private async keep(connection: Connection): Promise<CareOutcome> {
    const isTold = connection.care.isExpiringTold || care.needsTelling(connection, this.now());
    if (isTold && !connection.care.isExpiringTold) await this.connections.tellExpiring(connection);
    const isDue = care.needsKeepAlive(connection, this.now());
    if (isDue) await this.tokenManager.refresh(connection);
    const companyName = connection.companyName ?? (await this.readName(connection)) ?? NAMELESS;
    await this.connections.schedule(
      connection,
      care.nextCareOfActive({ ...connection, companyName }, isTold, this.now()),
    );
    return isDue || connection.companyName === undefined ? 'called' : 'quiet';
  }

  private async readName({ organizationId, realmId, ...claimed }: Connection): Promise<string | undefined> {
    const { connection, accessToken } = await this.tokenManager.accessToken(organizationId);
    const name = await this.strategy.companyName(realmId, accessToken).catch((error) => {
      if (error instanceof ProviderError && error.failure === 'refused') return undefined;
      throw error;
    });
    if (name !== undefined && connection.tokenId === claimed.tokenId) {
      await this.connections.saveCompanyName(connection, name);
    }
    return name;
  }

  private async recoverOrForget(connection: Connection): Promise<CareOutcome> {
    if (care.isForgotten(connection, this.now())) {
      await this.connections.forget(connection);
    } else if (care.isRecoverable(connection, this.now())) {
      await this.recover(connection);
      return 'called';
    } else {
      await this.connections.failRecovery(connection);
    }
    return 'quiet';
  }

  private async recover(connection: Connection): Promise<void> {
    try {
      await this.tokenManager.recover(connection);
    } catch (error) {
      if (!(error instanceof ProviderError) || error.failure !== 'refused') throw error;
      await this.connections.failRecovery(connection);
    }
  }

  private after(milliseconds: number): Date {
    return new Date(this.now().getTime() + milliseconds);
  }
}

function isProviderTrouble(error: unknown): boolean {
  if (error instanceof ProviderError) return error.failure !== 'refused';
  return error instanceof AppError && ['provider_unavailable', 'provider_error'].includes(error.code);
}

/** The connection was lost, ended or replaced meanwhile: nothing is left to be done. */
function isSettled(error: unknown): boolean {
  return error instanceof AppError && ['reauthorization_required', 'connection_not_found'].includes(error.code);
}
