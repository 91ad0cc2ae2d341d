import { Fernet } from '../utils/fernet.ts';

process.stdout.write(`${Fernet.generateKey()}\n`);
