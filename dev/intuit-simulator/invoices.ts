import type { Companies } from './companies.ts';
import { type Entity, sampleInvoices } from './sample-invoices.ts';

/** The invoices of all companies, in memory. */
export class Invoices {
  private readonly byCompany: Map<string, Entity[]>;

  constructor(companies: Companies) {
    this.byCompany = new Map(companies.list().map(({ realmId }) => [realmId, sampleInvoices()]));
  }

  list(realmId: string): Entity[] {
    return this.byCompany.get(realmId) ?? [];
  }

  find(realmId: string, id: unknown): Entity | undefined {
    return this.list(realmId).find(({ Id }) => Id === id);
  }

  /** Creates an invoice, or changes the one with the same `Id`. */
  write(realmId: string, fields: Entity, time: string): Entity {
    const existing = this.find(realmId, fields['Id']);
    const invoice = existing ?? {
      Id: String(this.list(realmId).length + 1),
      SyncToken: '-1',
      MetaData: { CreateTime: time },
    };
    const SyncToken = String(Number(invoice['SyncToken']) + 1);
    const MetaData = { ...(invoice['MetaData'] as Entity), LastUpdatedTime: time };
    Object.assign(invoice, fields, { Id: invoice['Id'], SyncToken, MetaData });
    if (!existing) this.byCompany.set(realmId, [...this.list(realmId), invoice]);
    return invoice;
  }
}
