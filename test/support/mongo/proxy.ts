// A proxy between the driver and a MongoDB server, a real one too. Requests of the driver's own
// monitoring are among those that it counts.
import { connectMongo } from '../../../src/clients/mongo.ts';
import { openProxy, type Proxy as TcpProxy } from '../proxy.ts';
import { throughProxy } from './url.ts';

export interface MongoProxy extends TcpProxy {
  /** The server's url through the proxy. */
  readonly url: string;
}

/** In front of a replica set's primary, else of the url's first host (mongodb:// only). */
export async function startMongoProxy(url: string): Promise<MongoProxy> {
  const { client } = await connectMongo({ url });
  const hello = await client.db('admin').command({ hello: 1 });
  const [first] = client.options.hosts;
  await client.close();
  const proxy = await openProxy(String(hello.primary ?? first));
  return Object.assign(proxy, { url: throughProxy(url, proxy.port) });
}
