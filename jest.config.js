import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { transformFileSync } from '@swc/core';

const SOURCE = join(import.meta.dirname, 'src');

/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'es6' } },
    ],
  },
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  globalSetup: '<rootDir>/test/support/global-setup.js',
  reporters: ['default', '<rootDir>/test/support/summary-reporter.js'],
  testTimeout: 180_000, // only ends what hangs: no test depends on how fast the machine is
  maxWorkers: 3, // most of a test is waiting
  workerIdleMemoryLimit: '500MB', // a worker keeps the modules of all its files: each file would take longer than the one before
  coverageProvider: 'v8',
  collectCoverageFrom: ['src/**/*.ts', 'migrations/**/*.ts', ...filesOfTypes().map((file) => `!src/${file}`)],
  coverageReporters: ['text-summary', 'lcovonly'],
  coverageThreshold: { global: { lines: 90 } },
};

/** The files that contain only types: they are never loaded, so that all their lines would count as not covered. */
function filesOfTypes() {
  const files = readdirSync(SOURCE, { recursive: true }).filter((file) => file.endsWith('.ts'));
  const options = { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, minify: true };
  return files.filter((file) => /^(export\{\};)?$/.test(transformFileSync(join(SOURCE, file), options).code));
}
