// Other urls for the same MongoDB server: through a proxy, and with a database of its own. User,
// password and options stay. No error repeats a url, as it may hold a password.
const FORM =
  /^mongodb:\/\/(?<user>[^/?]*@)?(?<hosts>[^/?]*)(?:\/(?<database>[^?]*))?(?:\?(?<query>.*))?$/;

interface Parts {
  user: string;
  hosts: string;
  database: string;
  options: string[];
}

/**
 * To a proxy on a local port. Directly: a replica set would name its members, and the driver go
 * past the proxy. A certificate names the server, not the proxy.
 */
export function throughProxy(url: string, port: number): string {
  const { options, ...parts } = partsOf(url);
  const kept = options.filter((one) => !/^(replicaSet|directConnection)=/i.test(one));
  const secure = kept.some((one) => /^(tls|ssl)=true$/i.test(one));
  const lax = kept.some((one) => /^tls(Insecure|AllowInvalid)/i.test(one));
  if (secure && !lax) kept.push('tlsAllowInvalidHostnames=true');
  kept.push('directConnection=true');
  return join({ ...parts, hosts: `127.0.0.1:${port}`, options: kept });
}

/** A user stays that of the database which the url named, or of `admin`. */
export function withDatabase(url: string, database: string): string {
  const parts = partsOf(url);
  const options = [...parts.options];
  const named = options.some((one) => /^authSource=/i.test(one));
  if (parts.user !== '' && !named) options.push(`authSource=${parts.database || 'admin'}`);
  return join({ ...parts, database, options });
}

function partsOf(url: string): Parts {
  const groups = FORM.exec(url)?.groups;
  if (groups === undefined)
    throw new Error('MONGODB_URL must be a mongodb:// url for these tests.');
  const { user = '', hosts = '', database = '', query = '' } = groups;
  return { user, hosts, database, options: query.split('&').filter((one) => one !== '') };
}

function join({ user, hosts, database, options }: Parts): string {
  const query = options.length === 0 ? '' : `?${options.join('&')}`;
  return `mongodb://${user}${hosts}/${database}${query}`;
}
