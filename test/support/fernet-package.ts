import { createRequire } from 'node:module';

// The package is CommonJS without types. Only what is used of its `Token` is declared.
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

/** Decrypts a token of any age with another implementation of Fernet. */
export function decryptWithPackage(key: string, token: string): string {
  return new fernet.Token({ secret: new fernet.Secret(key), token, ttl: 0 }).decode();
}

/** Encrypts with another implementation of Fernet. */
export function encryptWithPackage(key: string, text: string): string {
  return new fernet.Token({ secret: new fernet.Secret(key), ttl: 0 }).encode(text);
}
