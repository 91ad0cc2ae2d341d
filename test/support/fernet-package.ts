import { createRequire } from 'node:module';

// The package is CommonJS without types; of its `Token` only what is used here is told.
interface FernetPackage {
  Secret: new (key: string) => object;
  Token: new (options: {
    secret: object;
    ttl?: number;
    token?: string;
    time?: string;
    iv?: number[];
  }) => { encode(text: string): string; decode(): string };
}

const fernet = createRequire(import.meta.url)('fernet') as FernetPackage;

/** Another implementation of Fernet: opens a token of any age. */
export function openWithPackage(key: string, token: string): string {
  return new fernet.Token({ secret: new fernet.Secret(key), token, ttl: 0 }).decode();
}

/** Another implementation of Fernet: makes a token. */
export function sealWithPackage(key: string, text: string): string {
  return new fernet.Token({ secret: new fernet.Secret(key), ttl: 0 }).encode(text);
}
