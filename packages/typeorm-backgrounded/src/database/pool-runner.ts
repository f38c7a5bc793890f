import { setImmediate as othersTurn } from 'node:timers/promises'
import type { DataSource, QueryRunner } from 'typeorm'
import { dialectOf } from './dialect'
import { StoreUnavailableError } from '../errors'

export interface Patience {
  /** How long to wait for a connection of the pool, in ms, because those that hold all of them may wait for this work. */
  readonly connect: number
  /** How long to wait for the answers on it, in ms. */
  readonly answer: number
  /** What could not be done, for the error message. */
  readonly subject: string
}

const DESTROYED = 'the data source is destroyed'

/** Work over one connection. A plain object, because an AbortController for each batch of rows would cost more. */
interface UnderWay {
  isGivenUp: boolean
  giveUp(): void
}

const underWay = new WeakMap<DataSource, Set<UnderWay>>()

/**
 * Does `work` over a connection of the application's pool to the primary. A connection that does not answer, because a
 * firewall has forgotten it, is destroyed, so that it is not used again.
 * @throws StoreUnavailableError, or what `work` throws
 */
export async function withPoolRunner<T>(
  dataSource: DataSource,
  work: (runner: QueryRunner) => Promise<T>,
  patience: Patience,
): Promise<T> {
  const own: UnderWay = { isGivenUp: false, giveUp: () => {} }
  const others = underWay.get(dataSource) ?? new Set()
  underWay.set(dataSource, others.add(own))
  try {
    return await onRunner(dataSource.createQueryRunner('master'), work, patience, own)
  } finally {
    others.delete(own)
  }
}

/**
 * Gives up all connections on which such work is still under way, because a pool that closes asks each of its connections
 * to end, and may wait for ever for the answer of a silent one.
 */
export async function giveUpPoolRunners(dataSource: DataSource): Promise<void> {
  const all = [...(underWay.get(dataSource) ?? [])]
  if (all.length === 0) return
  for (const each of all) {
    each.isGivenUp = true
    each.giveUp()
  }
  await othersTurn() // until their connections are destroyed
}

async function onRunner<T>(
  runner: QueryRunner,
  work: (runner: QueryRunner) => Promise<T>,
  { connect, answer, subject }: Patience,
  own: UnderWay,
): Promise<T> {
  const tooLate = (why: string) => new StoreUnavailableError(`${subject} in time: ${why}.`)
  const connecting = Promise.resolve(runner.connect())
  try {
    await within(connect, own, connecting, () =>
      tooLate(
        own.isGivenUp
          ? DESTROYED
          : `no connection of the pool became free: enlarge the pool, or make calls inside a transaction with its manager`,
      ),
    )
  } catch (error) {
    connecting.then(() => runner.release()).catch(() => {}) // the connection that comes too late
    throw error
  }
  return within(answer, own, workAndRelease(runner, work), () => {
    void endConnection(runner).catch(() => {})
    return tooLate(
      own.isGivenUp ? DESTROYED : 'the database does not answer over a connection of the pool, which is given up',
    )
  })
}

/**
 * As the drivers document it: the pool makes another connection in its place. What pg ends fails, and so is released: to
 * release it here as well would make TypeORM wait for it for ever when the data source is destroyed.
 */
export async function endConnection(runner: QueryRunner): Promise<void> {
  const client = (await runner.connect()) as { destroy?(): void; end?(): Promise<void> }
  switch (dialectOf((runner.manager.dataSource ?? runner.manager.connection).options.type)) {
    case 'postgres':
      return client.end?.()
    case 'mariadb':
      return client.destroy?.()
    default:
      return undefined
  }
}

async function workAndRelease<T>(runner: QueryRunner, work: (runner: QueryRunner) => Promise<T>): Promise<T> {
  try {
    return await work(runner)
  } finally {
    await runner.release()
  }
}

/** @throws what `late` returns after so many ms, or when it is given up */
async function within<T>(ms: number, own: UnderWay, work: Promise<T>, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const passed = new Promise<never>((_, reject) => {
    own.giveUp = () => reject(late())
    timer = setTimeout(own.giveUp, ms)
  })
  try {
    return await Promise.race([work, passed])
  } finally {
    clearTimeout(timer)
    work.catch(() => {}) // the connection was destroyed
  }
}
