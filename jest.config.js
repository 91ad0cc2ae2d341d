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
  collectCoverageFrom: ['src/**/*.ts', 'migrations/**/*.ts'],
  coverageReporters: ['text-summary', 'lcovonly'],
  coverageThreshold: { global: { lines: 90 } },
};
