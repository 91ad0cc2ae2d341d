// Runs a command of the service: from source in a checkout, where tsx is installed, and from the build in the image.
const [, , command] = process.argv;
const tsx = await import('tsx/esm/api').catch(() => undefined);
if (tsx) tsx.register();
else await import('./check-build.js');
await import(tsx ? `../src/commands/${command}.ts` : `../dist/src/commands/${command}.js`);
