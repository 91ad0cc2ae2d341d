import type { ActiveConnection } from '../../models/connection.ts';

const COMPANY_INFO = /^(companyinfo\/)([^/?]+)(?=$|\?)/i;

/** QuickBooks' client libraries send the company ID twice: `companyinfo/{organization}` is the company's own. */
export function mapCompanyInfo(
  resource: string,
  { organizationId, realmId }: Pick<ActiveConnection, 'organizationId' | 'realmId'>,
): string {
  return resource.replace(COMPANY_INFO, (whole, path, id) => (id === organizationId ? `${path}${realmId}` : whole));
}
