// The cluster engine on the MongoDB stand-in, under every fault that its processes, Redis and
// MongoDB can have. More rounds: `node test/fault-rounds.ts --engine cluster`.
import { allAtOnce, faultOf } from './catalog.ts';
import { clusterSuite } from './cluster-suite.ts';

const ROUNDS = [
  ...['kill-receive', 'redis-flushed', 'poison', 'primary-steps-down', 'kill-api', 'reply-lost'],
  ...['redis-forgets', 'primary-gone', 'two-owners', 'disk-full', 'kill-anywhere', 'store-slow'],
  ...['redis-stands-still', 'half-open-senders', 'reply-never-comes', 'clock-set-back'],
  ...['redis-killed', 'clock-set-back-in-a-wait', 'worker-stands-still'],
];
/** Each takes long to be noticed: they are waited for together. */
const TOGETHER = ['kill-work', 'kill-all', 'half-open-redis', 'half-open-mongo'];

clusterSuite('the cluster engine', [...ROUNDS.map(faultOf), allAtOnce(TOGETHER)]);
