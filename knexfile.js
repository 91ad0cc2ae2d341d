// What Knex's command line loads: the source in a checkout, where tsx is installed, and the build in the image. To load
// knexfile.ts by itself, it would look for a TypeScript compiler.
const tsx = await import('tsx/esm/api').catch(() => undefined);
tsx?.register();
const { default: settings } = await import(tsx ? './knexfile.ts' : './dist/knexfile.js');
export default settings;
