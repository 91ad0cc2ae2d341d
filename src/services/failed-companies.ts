/** One company alone may be faulty itself. Failures of this many are the provider's: the next one would fail as well. */
const MIN_FAILED_COMPANIES = 3;

/** The companies whose calls failed since the last call that succeeded, and whether the provider is therefore down. */
export class FailedCompanies {
  private readonly companies = new Set<string>();

  /** @param company its realm ID; if that is unknown, the ID of what failed */
  add(company: string): void {
    this.companies.add(company);
  }

  /** Records a call that succeeded. */
  clear(): void {
    this.companies.clear();
  }

  isProviderDown(): boolean {
    return this.companies.size >= MIN_FAILED_COMPANIES;
  }
}
