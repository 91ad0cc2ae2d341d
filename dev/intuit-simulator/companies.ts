/** The companies of this environment, by their realm ID. */
export class Companies {
  private readonly names: Map<string, string | undefined>;

  constructor(names: Record<string, string>) {
    this.names = new Map(Object.entries(names));
  }

  /** @param name undefined for a company of the other environment, for which every API call returns 403 */
  set(realmId: string, name: string | undefined): void {
    this.names.set(realmId, name);
  }

  /** A company that was never set has a name too, so that tests can use any realm ID. */
  nameOf(realmId: string): string | undefined {
    return this.names.has(realmId) ? this.names.get(realmId) : `Sandbox Company ${realmId}`;
  }

  /** The companies that the consent page offers. */
  list(): { realmId: string; name: string }[] {
    return [...this.names].flatMap(([realmId, name]) => (name === undefined ? [] : [{ realmId, name }]));
  }
}

/** The companies of a simulator by default. */
export const SANDBOX_COMPANIES: Record<string, string> = {
  '9341452000000001': 'Sandbox Company_US_1',
  '9341452000000002': 'Sandbox Company_US_2',
  '9341452000000003': "Craig's Design and Landscaping Services",
};
