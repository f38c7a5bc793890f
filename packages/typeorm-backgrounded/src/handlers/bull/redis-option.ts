import { Redis, type Cluster, type RedisOptions } from 'ioredis'
import { InvalidOptionError } from '../../errors'
import { isPlainObject } from '../../job/known-options'

/** What a connection is for; only raw queues that process jobs themselves need a `bclient`. */
export type ConnectionType = 'client' | 'subscriber' | 'bclient'

/**
 * Makes a connection. It belongs to the handler, which closes it with the data source: for one that you share
 * with other code, return `yours.duplicate()`.
 */
export type CreateClient = (type: ConnectionType) => Redis | Cluster

/** The address of Redis, and how to connect to it. */
export type RedisOption =
  string | URL | RedisOptions | Redis | Cluster | CreateClient | { readonly createClient: CreateClient }

const FIX =
  'give a URL like redis://user:password@127.0.0.1:6379/0, options or an instance of ioredis, or a function that makes connections'

/** What `new Redis(…)` and its connectors take, of ioredis 5 and 6. ioredis itself drops what it does not know. */
const NAMES = new Set(
  (
    'host port path family db username password tls name role sentinels sentinelUsername sentinelPassword sentinelTLS ' +
    'sentinelRetryStrategy sentinelReconnectStrategy sentinelCommandTimeout sentinelMaxConnections updateSentinels ' +
    'enableTLSForSentinelMode preferredSlaves failoverDetector natMap Connector retryStrategy reconnectOnError ' +
    'commandTimeout blockingTimeout blockingTimeoutGrace socketTimeout connectTimeout disconnectTimeout keepAlive noDelay ' +
    'connectionName disableClientInfo clientInfoTag protocol autoResubscribe autoResendUnfulfilledCommands readOnly ' +
    'stringNumbers monitor maxRetriesPerRequest maxLoadingRetryTime enableAutoPipelining autoPipeliningIgnoredCommands ' +
    'offlineQueue commandQueue enableOfflineQueue enableReadyCheck lazyConnect scripts showFriendlyErrorStack keyPrefix ' +
    'parser dropBufferSupport'
  ).split(' '),
)
/** Of `net.connect` and the URL's own parameters, which ioredis hands on. */
const SOCKET_NAMES = new Set(['localAddress', 'localPort', 'hints', 'lookup', 'allowUsernameInURI', 'autoSelectFamily'])

/**
 * The address of Redis. Refuses every value for which ioredis would silently connect to this machine. No message shows the
 * value, because a malformed URL may have its password anywhere.
 * @throws InvalidOptionError
 */
export function redisOf(redis: RedisOption | undefined): RedisOptions | CreateClient {
  if (typeof redis === 'string') return optionsOfUrl(redis)
  if (typeof redis === 'function') return redis
  if (redis === undefined) {
    throw new InvalidOptionError(
      'BullHandler: redis is undefined: is the environment variable set? Leave the option out for redis://127.0.0.1:6379.',
    )
  }
  if (typeof redis !== 'object' || redis === null || Array.isArray(redis))
    throw new InvalidOptionError(`BullHandler: redis is ${kindOf(redis)}: ${FIX}.`)
  if (redis instanceof URL) return optionsOfUrl(redis.href)
  if (isInstance(redis)) return ofInstance(redis)
  if ('createClient' in redis) {
    if (typeof redis.createClient === 'function') return redis.createClient
    throw new InvalidOptionError('BullHandler: redis.createClient is not a function: give one that makes connections.')
  }
  return checked(redis as RedisOptions)
}

/** The kind of a value, for messages that must not show its contents. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined || typeof value === 'number' || typeof value === 'boolean')
    return String(value)
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

function isInstance(redis: object): redis is Redis | Cluster {
  const { duplicate, defineCommand } = redis as Partial<Redis>
  return typeof duplicate === 'function' && typeof defineCommand === 'function'
}

function ofInstance(instance: Redis | Cluster): RedisOptions | CreateClient {
  if (instance.options.keyPrefix) throw keyPrefixRefused()
  if (instance.isCluster) {
    const always = { lazyConnect: true, enableReadyCheck: true }
    return () => instance.duplicate([], always)
  }
  // The defaults of ioredis are among them: its functions would keep the heartbeat from a thread of its own.
  const defaults = new Redis({ lazyConnect: true }).options as Record<string, unknown>
  const given = Object.entries(instance.options).filter(
    ([name, value]) => !(typeof value === 'function' && String(value) === String(defaults[name])),
  )
  return Object.fromEntries(given)
}

function checked(options: RedisOptions): RedisOptions {
  const names = Object.keys(options)
  if (names.length === 0 && !isPlainObject(options))
    throw new InvalidOptionError(`BullHandler: redis is an object without options of ioredis: ${FIX}.`)
  if (names.some((name) => ['socket', 'url'].includes(name)))
    throw new InvalidOptionError(`BullHandler: redis has options of another package, not of ioredis: ${FIX}.`)
  const unknown = names.find((name) => !NAMES.has(name) && !SOCKET_NAMES.has(name))
  if (unknown !== undefined) {
    throw new InvalidOptionError(
      `BullHandler: redis has no option "${unknown}": ioredis would connect without it. There are host, port, db, username, password, tls, path, sentinels and others; for what only a newer ioredis knows, give a function: () => new Redis(…).`,
    )
  }
  if (options.keyPrefix !== undefined) throw keyPrefixRefused()
  const { host, port, path, sentinels, db, family } = options
  const places = { host, path, sentinels } as Record<string, unknown>
  const unset = Object.keys(places).find((name) => name in options && (isUnset(places[name]) || places[name] === ''))
  if (unset !== undefined && !host && !path && !sentinels) {
    throw new InvalidOptionError(
      `BullHandler: redis.${unset} is not set: is the environment variable set? Leave it out for 127.0.0.1.`,
    )
  }
  for (const [name, value] of Object.entries({ host, path })) {
    if (!isUnset(value) && typeof value !== 'string') throw wrong(name, value, 'a text')
  }
  if (!isUnset(sentinels) && !(Array.isArray(sentinels) && sentinels.length > 0))
    throw wrong('sentinels', sentinels, "a list of one or more, as [{ host: 'a', port: 26379 }]")
  if (!isUnset(db) && !isDatabase(db)) throw wrong('db', db, 'the number of a database, 0 or more')
  if (!isUnset(family) && !FAMILIES.has(family)) throw wrong('family', family, '4 or 6')
  if (!isUnset(port) && !isPort(port))
    throw new InvalidOptionError(
      `BullHandler: redis.port is ${typeof port === 'number' ? port : kindOf(port)}: give a port, like 6379.`,
    )
  return options
}

/** What ioredis takes for a default. */
function isUnset(value: unknown): boolean {
  return value === undefined || value === null
}

/** Of `net.connect`; 0 is either. */
const FAMILIES = new Set<unknown>([0, 4, 6, 'IPv4', 'IPv6'])

function isDatabase(db: unknown): boolean {
  return (typeof db === 'number' && Number.isInteger(db) && db >= 0) || (typeof db === 'string' && /^\d{1,9}$/.test(db))
}

function wrong(name: string, value: unknown, fix: string): InvalidOptionError {
  const given =
    Array.isArray(value) && value.length === 0
      ? 'an empty list'
      : typeof value === 'number'
        ? String(value)
        : kindOf(value)
  return new InvalidOptionError(`BullHandler: redis.${name} is ${given}: give ${fix}.`)
}

function isPort(port: unknown): boolean {
  if (typeof port === 'string' && !/^\d+$/.test(port)) return false
  const number = Number(port)
  return Number.isInteger(number) && number >= 1 && number <= 65_535
}

function keyPrefixRefused(): InvalidOptionError {
  return new InvalidOptionError(
    'BullHandler: redis.keyPrefix is of no use to scripts: give the prefix as BullHandler\'s own "prefix".',
  )
}

function optionsOfUrl(text: string): RedisOptions {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'redis:' && url?.protocol !== 'rediss:') throw notAUrl(text)
  // Otherwise "redis:host" and "redis:/host" mean this machine, as a password with a "/" in it makes another host of the user.
  if (!/^rediss?:\/\/[^/?#]/i.test(text) || (text.includes('@') && url.password === '' && url.username === ''))
    throw notAUrl(text)
  const database = url.pathname.slice(1) || '0'
  if (!/^\d{1,9}$/.test(database)) {
    const shown = text.includes('@') ? 'what follows the host' : `"${url.pathname}"`
    throw new InvalidOptionError(`BullHandler: ${shown} in the Redis URL is not a database number: give one like /0.`)
  }
  return checked({
    ...(Object.fromEntries([...url.searchParams].map(([name, value]) => [name, parameter(value)])) as RedisOptions),
    host: url.hostname.replace(/^\[(.*)\]$/, '$1') || '127.0.0.1',
    port: Number(url.port || 6379),
    db: Number(database),
    ...(url.username ? { username: decoded(url.username) } : {}),
    ...(url.password ? { password: decoded(url.password) } : {}),
    ...(url.protocol === 'rediss:' ? { tls: {} } : {}),
  })
}

function parameter(text: string): unknown {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  return text === 'true' ? true : text === 'false' ? false : text
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new InvalidOptionError(
      'BullHandler: the user or the password in the Redis URL has a "%" that begins no escape: write %25.',
    )
  }
}

/** Only what cannot hold a password is shown. */
function notAUrl(text: string): InvalidOptionError {
  const shown = /^[\w.-]+(:\d{1,5})?$/.test(text)
    ? `"${text}"`
    : text === ''
      ? 'an empty text'
      : 'a text that is not such a URL'
  return new InvalidOptionError(
    `BullHandler: redis is ${shown}: give a URL like redis://user:password@127.0.0.1:6379/0, or rediss:// for TLS. Characters like / # @ % in a password are written as %2F %23 %40 %25.`,
  )
}
