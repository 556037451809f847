// Artery in a process of its own for a scenario: roles and data folder come as arguments, the
// engine's servers in the environment; the address goes back to the parent.
import { openApp } from '../src/app.ts';
import type { Role } from '../src/commands/context.ts';
import { loadConfig, processEnvironment } from '../src/config/config.ts';

const [folder = '', roles = '', secret = ''] = process.argv.slice(2);
const config = loadConfig({
  ARTERY_DATA_DIR: folder,
  ARTERY_HTTP_PORT: '0',
  ARTERY_ADT_PORT: '0',
  ARTERY_LAB_PORT: '0',
  ARTERY_LOG_LEVEL: 'error',
  ARTERY_WAITING_MAX: '10000000',
  ...processEnvironment(),
});
const app = await openApp(config, {
  roles: roles.split(',') as Role[],
  listen: true,
  operatorSecret: secret,
});
process.send?.({ url: app.address });
process.on('disconnect', async () => {
  await app.close();
  process.exit(0);
});
