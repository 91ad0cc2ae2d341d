import { Argument, Command, InvalidArgumentError } from 'commander';
import type { ConnectionKey, OrganizationId } from '../../models/connection.ts';
import { organizationId } from '../../schemas/fields.ts';

/** What a verb's `--system` names. */
export interface SystemOption {
  system: string;
}

/** A verb, with its help. */
export function verb(name: string, description: string): Command {
  return new Command(name).description(description).helpOption('-h, --help', 'shows this help');
}

/** A verb that acts on connections to one accounting system. */
export function systemVerb(name: string, description: string): Command {
  return verb(name, description).option('--system <name>', 'the accounting system', 'quickbooks');
}

/** A verb's organization. */
export function organizationArgument(name = '<organization>', description = 'its ID'): Argument {
  return new Argument(name, description).argParser((text: string): OrganizationId => {
    const { success, error } = organizationId.safeParse(text);
    if (!success) throw new InvalidArgumentError(`It ${error.issues[0]?.message}.`);
    return text as OrganizationId;
  });
}

export function keyOf(organization: OrganizationId, { system }: SystemOption): ConnectionKey {
  return { organizationId: organization, system };
}

/** A whole number within a range. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= min && number <= max) return number;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}
