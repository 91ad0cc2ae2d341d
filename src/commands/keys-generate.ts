import { Fernet } from '../crypto/fernet.ts';

process.stdout.write(`${Fernet.generateKey()}\n`);
