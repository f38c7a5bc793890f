import type { Logger } from '../../logger'
import type { Commands } from './commands'

const TIMEOUT = 5_000

/** Warns when Redis may delete jobs because its memory is full. Uses INFO, which is allowed where CONFIG is not. */
export async function warnOfEviction(commands: Commands, logger: Logger): Promise<void> {
  const policy = await commands
    .ask(TIMEOUT, (client) => client.info('memory'))
    .then(
      (info) => /^maxmemory_policy:(\S+)/m.exec(info)?.[1],
      () => undefined, // not allowed, or out of reach, which others say
    )
  if (policy === undefined || policy === 'noeviction') return
  logger.warn(
    { 'maxmemory-policy': policy },
    `Redis throws away jobs and leases when its memory is full: set its maxmemory-policy from ${policy} to noeviction`,
  )
}
